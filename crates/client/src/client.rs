//! The client: one method for each thing the API does.

use bytes::Bytes;
use hyper::Method;
use hyper::header::{self, HeaderName};
use kinglet_model::api::{Health, MediaRequest, NewVm, OneTimeToken, SessionInfo, SignIn};
use kinglet_model::image::RefreshReport;
use kinglet_model::vm::{VmAction, VmUsage};
use kinglet_model::{Host, Image, Revision, Vm};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::console::{self, ConsoleFrom, ConsoleSocket};
use crate::error::ClientError;
use crate::events::EventStream;
use crate::list::{ListOptions, Listing};
use crate::place::Place;
use crate::transport::{self, Answer, Call, encoded};

const REVISION: HeaderName = HeaderName::from_static("x-revision");
const NEXT: HeaderName = HeaderName::from_static("x-next-cursor");
const OFFSET: HeaderName = HeaderName::from_static("x-console-offset");

/// A client of one daemon. Objects are named by `name or id`; `if_match` makes a change happen only
/// if the object is still at that revision.
#[derive(Debug, Clone)]
pub struct Client {
    place: Place,
}

/// What a console said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsoleLog {
    /// Where the first byte stands in all that the console ever said.
    pub offset: u64,
    /// The bytes.
    pub output: Bytes,
}

impl Client {
    /// A client of the daemon there. Connects with each request, not now.
    #[must_use]
    pub const fn new(place: Place) -> Self {
        Self { place }
    }

    /// Where the daemon is.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Whether the daemon works.
    ///
    /// # Errors
    /// As every method here: [`ClientError`].
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.read(Method::GET, "/healthz".to_owned()).await
    }

    /// A part of the images.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn images(&self, options: &ListOptions) -> Result<Listing<Image>, ClientError> {
        self.list("/v1/images", options).await
    }

    /// All images, oldest first unless `options` say otherwise.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn all_images(&self, options: &ListOptions) -> Result<Listing<Image>, ClientError> {
        self.list_all("/v1/images", options).await
    }

    /// One image.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn image(&self, image: &str) -> Result<Image, ClientError> {
        self.read(Method::GET, format!("/v1/images/{}", encoded(image)))
            .await
    }

    /// Looks through the image folders now; returns when that is done.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn refresh_images(&self) -> Result<RefreshReport, ClientError> {
        self.read(Method::POST, "/v1/images/refresh".to_owned())
            .await
    }

    /// Has an image checked anew; returns when that began.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn check_image(
        &self,
        image: &str,
        if_match: Option<Revision>,
    ) -> Result<Image, ClientError> {
        let path = format!("/v1/images/{}/check", encoded(image));
        self.change(Method::POST, path, if_match).await
    }

    /// Deletes an image and its file.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete_image(
        &self,
        image: &str,
        if_match: Option<Revision>,
    ) -> Result<(), ClientError> {
        let path = format!("/v1/images/{}", encoded(image));
        self.send(guarded(Call::new(Method::DELETE, path), if_match))
            .await
            .map(drop)
    }

    /// A part of the VMs.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn vms(&self, options: &ListOptions) -> Result<Listing<Vm>, ClientError> {
        self.list("/v1/vms", options).await
    }

    /// All VMs.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn all_vms(&self, options: &ListOptions) -> Result<Listing<Vm>, ClientError> {
        self.list_all("/v1/vms", options).await
    }

    /// One VM.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn vm(&self, vm: &str) -> Result<Vm, ClientError> {
        self.read(Method::GET, format!("/v1/vms/{}", encoded(vm)))
            .await
    }

    /// Makes a VM; it starts at once where `spec.power` says so.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_vm(&self, vm: &NewVm) -> Result<Vm, ClientError> {
        let call = self.with_body(Method::POST, "/v1/vms".to_owned(), vm)?;
        self.parse(&self.send(call).await?)
    }

    /// Deletes a VM and its disks.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn delete_vm(&self, vm: &str, if_match: Option<Revision>) -> Result<(), ClientError> {
        let path = format!("/v1/vms/{}", encoded(vm));
        self.send(guarded(Call::new(Method::DELETE, path), if_match))
            .await
            .map(drop)
    }

    /// Does one of start, stop, restart, pause, resume, kill; returns when that is accepted. The
    /// other actions have methods of their own.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn act_vm(
        &self,
        vm: &str,
        action: VmAction,
        if_match: Option<Revision>,
    ) -> Result<Vm, ClientError> {
        let path = format!("/v1/vms/{}/{}", encoded(vm), action.as_str());
        self.change(Method::POST, path, if_match).await
    }

    /// Puts a disc into a VM's drive.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn insert_media(
        &self,
        vm: &str,
        image: &str,
        if_match: Option<Revision>,
    ) -> Result<Vm, ClientError> {
        let path = format!("/v1/vms/{}/media", encoded(vm));
        let body = MediaRequest {
            image: image.to_owned(),
        };
        let call = self.with_body(Method::PUT, path, &body)?;
        self.parse(&self.send(guarded(call, if_match)).await?)
    }

    /// Takes the disc out of a VM's drive.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn eject_media(
        &self,
        vm: &str,
        if_match: Option<Revision>,
    ) -> Result<Vm, ClientError> {
        let path = format!("/v1/vms/{}/media", encoded(vm));
        self.change(Method::DELETE, path, if_match).await
    }

    /// What a VM uses right now.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn vm_usage(&self, vm: &str) -> Result<VmUsage, ClientError> {
        self.read(Method::GET, format!("/v1/vms/{}/usage", encoded(vm)))
            .await
    }

    /// What a VM's console said, from an offset on or as far back as it is kept.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn console_log(
        &self,
        vm: &str,
        from: Option<u64>,
    ) -> Result<ConsoleLog, ClientError> {
        let query = from.map_or_else(String::new, |from| format!("?from={from}"));
        let path = format!("/v1/vms/{}/console/log{query}", encoded(vm));
        let answer = self.send(Call::new(Method::GET, path)).await?;
        let offset = number(&answer, &OFFSET).unwrap_or_default();
        Ok(ConsoleLog {
            offset,
            output: answer.body,
        })
    }

    /// Opens a VM's console.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn console(&self, vm: &str, from: ConsoleFrom) -> Result<ConsoleSocket, ClientError> {
        console::open(&self.place, vm, from).await
    }

    /// The machine, as the doctor found it last.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn host(&self) -> Result<Host, ClientError> {
        self.read(Method::GET, "/v1/host".to_owned()).await
    }

    /// Has the doctor examine the machine anew.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn doctor(&self) -> Result<Host, ClientError> {
        self.read(Method::POST, "/v1/host/doctor".to_owned()).await
    }

    /// What changes after the revision `since` (from now on where it is `None`), and with `live` the
    /// figures that are never stored. Connects when it is first polled.
    #[must_use]
    pub fn events(&self, since: Option<Revision>, live: bool) -> EventStream {
        EventStream::new(self.place.clone(), since, live)
    }

    /// A token that signs one browser in, once. Only over the socket or from a session.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_token(&self) -> Result<OneTimeToken, ClientError> {
        self.read(Method::POST, "/v1/tokens".to_owned()).await
    }

    /// As whom the daemon sees this client.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn session(&self) -> Result<SessionInfo, ClientError> {
        self.read(Method::GET, "/v1/session".to_owned()).await
    }

    /// Signs in with a one-time token as a browser does, and returns the cookie (`name=value`).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn sign_in(&self, token: &str) -> Result<String, ClientError> {
        let body = SignIn {
            token: token.to_owned(),
        };
        let call = self.with_body(Method::POST, "/v1/session".to_owned(), &body)?;
        let answer = self.send(call).await?;
        let cookie = answer
            .headers
            .get(header::SET_COOKIE)
            .and_then(|value| value.to_str().ok());
        let pair = cookie.and_then(|cookie| cookie.split(';').next());
        pair.map(str::to_owned)
            .ok_or_else(|| self.protocol("it signed in without a cookie"))
    }

    /// The daemon's figures in Prometheus' text format.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let answer = self
            .send(Call::new(Method::GET, "/metrics".to_owned()))
            .await?;
        String::from_utf8(answer.body.to_vec())
            .map_err(|_| self.protocol("its figures are not text"))
    }

    /// The description of the API (OpenAPI 3.1).
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn openapi(&self) -> Result<serde_json::Value, ClientError> {
        self.read(Method::GET, "/v1/openapi.json".to_owned()).await
    }

    async fn list_all<T: DeserializeOwned>(
        &self,
        path: &str,
        options: &ListOptions,
    ) -> Result<Listing<T>, ClientError> {
        let mut all = self.list::<T>(path, options).await?;
        while let Some(cursor) = all.next.take() {
            let options = ListOptions {
                cursor: Some(cursor),
                ..options.clone()
            };
            let part = self.list::<T>(path, &options).await?;
            all.items.extend(part.items);
            all.next = part.next;
        }
        Ok(all)
    }

    async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        options: &ListOptions,
    ) -> Result<Listing<T>, ClientError> {
        let call = Call::new(Method::GET, format!("{path}{}", options.query()));
        let answer = self.send(call).await?;
        let next = answer
            .headers
            .get(&NEXT)
            .and_then(|value| value.to_str().ok());
        Ok(Listing {
            items: self.parse(&answer)?,
            next: next.map(str::to_owned),
            revision: Revision(number(&answer, &REVISION).unwrap_or_default()),
        })
    }

    async fn read<T: DeserializeOwned>(
        &self,
        method: Method,
        path: String,
    ) -> Result<T, ClientError> {
        self.change(method, path, None).await
    }

    async fn change<T: DeserializeOwned>(
        &self,
        method: Method,
        path: String,
        if_match: Option<Revision>,
    ) -> Result<T, ClientError> {
        self.parse(
            &self
                .send(guarded(Call::new(method, path), if_match))
                .await?,
        )
    }

    pub(crate) async fn send(&self, call: Call) -> Result<Answer, ClientError> {
        transport::ask(&self.place, call).await
    }

    fn with_body(
        &self,
        method: Method,
        path: String,
        body: &impl Serialize,
    ) -> Result<Call, ClientError> {
        let body = serde_json::to_vec(body);
        let body =
            body.map_err(|error| self.protocol(&format!("it takes no such body: {error}")))?;
        Ok(Call::new(method, path).json(body))
    }

    fn parse<T: DeserializeOwned>(&self, answer: &Answer) -> Result<T, ClientError> {
        serde_json::from_slice(&answer.body).map_err(|error| {
            self.protocol(&format!("its answer is not what was asked for ({error})"))
        })
    }

    pub(crate) fn protocol(&self, why: &str) -> ClientError {
        ClientError::Protocol {
            place: self.place.to_string(),
            why: why.to_owned(),
        }
    }
}

fn guarded(call: Call, if_match: Option<Revision>) -> Call {
    match if_match {
        Some(revision) => call.header(header::IF_MATCH, &format!("\"{revision}\"")),
        None => call,
    }
}

fn number(answer: &Answer, name: &HeaderName) -> Option<u64> {
    answer.headers.get(name)?.to_str().ok()?.parse().ok()
}
