//! What handlers take from a request. Each refuses with a problem document.

use std::convert::Infallible;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use kinglet_model::problem::ProblemKind;
use kinglet_model::{Id, Name, Resource, Revision};
use kinglet_registry::Registry;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::problem::{Answer, Refused, quoted, sentence};

/// A body in JSON, as `application/json` and of at most 1 MiB.
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        // An object first: serde would also take an array, member by member.
        let object = match Json::<Map<String, Value>>::from_request(request, state).await {
            Ok(Json(object)) => object,
            Err(rejection) => return Err(body_refused(&rejection)),
        };
        serde_json::from_value(Value::Object(object))
            .map(Self)
            .map_err(|error| {
                let detail = format!("The body is not what is taken here: {error}.");
                Refused::invalid("body-invalid", detail)
            })
    }
}

fn body_refused(rejection: &JsonRejection) -> Refused {
    match rejection {
        JsonRejection::MissingJsonContentType(_) => {
            let detail = "The body must be JSON: send it with Content-Type: application/json.";
            Refused::invalid("body-not-json", detail)
                .with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)
        }
        _ if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let detail = "The body is too large: at most 1 MiB is taken.";
            Refused::new(ProblemKind::TooLarge, "body-too-large", detail)
        }
        _ => Refused::invalid("body-invalid", sentence(&rejection.body_text())),
    }
}

/// The query as a struct.
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let query: Result<Query<T>, QueryRejection> = Query::from_request_parts(parts, state).await;
        match query {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Refused::invalid(
                "query-invalid",
                sentence(&rejection.body_text()),
            )),
        }
    }
}

/// The name or id in a path.
pub struct Reference(String);

impl<S: Send + Sync> FromRequestParts<S> for Reference {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let path: Result<Path<String>, PathRejection> =
            Path::from_request_parts(parts, state).await;
        match path {
            Ok(Path(text)) => Ok(Self(text)),
            Err(rejection) => Err(Refused::invalid(
                "path-invalid",
                sentence(&rejection.body_text()),
            )),
        }
    }
}

impl Reference {
    /// As it stands in the path.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id, where it is one.
    pub fn id(&self) -> Option<Id> {
        self.0.parse().ok()
    }

    /// The object with this id, or else with this name (a name may look like an id).
    pub async fn find<R: Resource>(&self, registry: &Registry) -> Answer<R> {
        if let Ok(id) = self.0.parse::<Id>()
            && let Some(object) = registry.fetch::<R>(id).await?
        {
            return Ok(object);
        }
        if let Ok(name) = self.0.parse::<Name>()
            && let Some(object) = registry.fetch_by_name::<R>(&name).await?
        {
            return Ok(object);
        }
        let kind = R::KIND.to_lowercase();
        let said = if R::KIND == "Vm" { "VM" } else { kind.as_str() };
        let detail = format!("There is no {said} {}.", quoted(&self.0));
        Err(Refused::new(
            ProblemKind::NotFound,
            &format!("{kind}-not-found"),
            detail,
        ))
    }
}

/// The revision in `If-Match`, with or without quotes; `None` where it is absent or `*`.
#[derive(Clone, Copy)]
pub struct IfMatch(pub Option<Revision>);

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else {
            return Ok(Self(None));
        };
        let text = value.to_str().unwrap_or_default().trim();
        let bare = text
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'))
            .unwrap_or(text);
        match bare.parse() {
            _ if bare == "*" => Ok(Self(None)),
            Ok(revision) => Ok(Self(Some(revision))),
            Err(_) => Err(Refused::invalid(
                "if-match-invalid",
                "If-Match takes one revision, the number in metadata.revision.",
            )),
        }
    }
}

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The unix socket, which only its owner can open.
    Socket,
    /// TCP.
    Tcp,
}

impl<S: Send + Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // A request that nobody marked is trusted least.
        Ok(parts.extensions.get().copied().unwrap_or(Self::Tcp))
    }
}
