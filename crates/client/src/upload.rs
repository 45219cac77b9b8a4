//! Uploads (tus 1.0.0): announce, ask how far, send, give up. Whoever calls decides when to try again.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http_body_util::StreamBody;
use hyper::Method;
use hyper::body::Frame;
use hyper::header::{self, HeaderMap, HeaderName};
use kinglet_model::{Digest, Id};

use crate::client::Client;
use crate::error::ClientError;
use crate::transport::{self, Answer, Call};

const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");
const METADATA: HeaderName = HeaderName::from_static("upload-metadata");
const OVERRIDE: HeaderName = HeaderName::from_static("x-http-method-override");
const DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// An upload to be announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUpload {
    /// The file's name in the image folder.
    pub file_name: String,
    /// The image folder's name; the daemon's first one where it is absent.
    pub folder: Option<String>,
    /// Bytes in all.
    pub length: u64,
    /// The SHA-256 that they must have.
    pub sha256: Option<Digest>,
}

/// How far an upload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadState {
    /// Bytes that are on the daemon's disk.
    pub offset: u64,
    /// Their SHA-256, where the daemon knows it.
    pub digest: Option<Digest>,
}

impl Client {
    /// Announces an upload; its id, which is the image's.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn create_upload(&self, new: &NewUpload) -> Result<Id, ClientError> {
        let sha256 = new.sha256.map(|digest| digest.to_string());
        let pairs = [
            ("filename", Some(&new.file_name)),
            ("folder", new.folder.as_ref()),
            ("sha256", sha256.as_ref()),
        ];
        let given = pairs.into_iter().filter_map(|(key, value)| {
            let encoded = STANDARD.encode(value?);
            Some(format!("{key} {encoded}"))
        });
        let metadata = given.collect::<Vec<_>>().join(",");
        let call = tus(Method::POST, "/v1/uploads".to_owned())
            .header(LENGTH, &new.length.to_string())
            .header(METADATA, &metadata);
        let answer = self.send(call).await?;
        let location = text(&answer.headers, &header::LOCATION);
        location
            .and_then(|location| location.rsplit('/').next()?.parse().ok())
            .ok_or_else(|| self.protocol("it took an upload and does not say where"))
    }

    /// How far an upload is.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn upload_state(&self, id: Id) -> Result<UploadState, ClientError> {
        // An answer to HEAD could not say what is wrong.
        let call = tus(Method::POST, path(id)).header(OVERRIDE, "HEAD");
        self.state(&self.send(call).await?)
    }

    /// Sends bytes of an upload, `length` of them from `offset` on. Returns when they are on the
    /// daemon's disk.
    ///
    /// # Errors
    /// [`ClientError`]; what came until then counts, so ask how far it is.
    pub async fn send_upload<S>(
        &self,
        id: Id,
        offset: u64,
        length: u64,
        bytes: S,
    ) -> Result<UploadState, ClientError>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + 'static,
    {
        let call = tus(Method::PATCH, path(id))
            .header(OFFSET, &offset.to_string())
            .header(header::CONTENT_TYPE, "application/offset+octet-stream")
            .header(header::CONTENT_LENGTH, &length.to_string());
        let body = StreamBody::new(bytes.map(|bytes| bytes.map(Frame::data)));
        let answer = transport::stream(self.place(), call, body).await?;
        self.state(&answer)
    }

    /// Gives an upload up; what had come of it is thrown away.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn cancel_upload(&self, id: Id) -> Result<(), ClientError> {
        self.send(tus(Method::DELETE, path(id))).await.map(drop)
    }

    fn state(&self, answer: &Answer) -> Result<UploadState, ClientError> {
        let offset = text(&answer.headers, &OFFSET).and_then(|offset| offset.parse().ok());
        let digest = text(&answer.headers, &DIGEST).and_then(|digest| {
            let encoded = digest.strip_prefix("sha-256=:")?.strip_suffix(':')?;
            let bytes = STANDARD.decode(encoded).ok()?.try_into().ok()?;
            Some(Digest::from_bytes(bytes))
        });
        let offset = offset.ok_or_else(|| self.protocol("it does not say how far an upload is"))?;
        Ok(UploadState { offset, digest })
    }
}

fn tus(method: Method, path: String) -> Call {
    Call::new(method, path).header(RESUMABLE, "1.0.0")
}

fn path(id: Id) -> String {
    format!("/v1/uploads/{id}")
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
