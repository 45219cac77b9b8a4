//! How every "no" leaves the server: an RFC 9457 problem document, whatever it was that failed.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use kinglet_images::LibraryError;
use kinglet_model::Problem;
use kinglet_model::problem::ProblemKind;
use kinglet_registry::typed::TypedError;
use kinglet_registry::{RegistryError, TxnError};

/// A problem as an answer. Everything that a handler can fail with becomes one.
#[derive(Debug, Clone)]
pub struct Refused(pub Problem);

/// What handlers return.
pub type Answer<T> = Result<T, Refused>;

impl Refused {
    /// A problem of this kind.
    pub fn new(kind: ProblemKind, code: &str, detail: impl Into<String>) -> Self {
        Self(Problem::new(kind, code, detail))
    }

    /// A request that makes no sense.
    pub fn invalid(code: &str, detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::Invalid, code, detail)
    }

    /// The same problem with a status that its kind does not have.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = status.as_u16();
        self
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        if self.0.kind == ProblemKind::Internal {
            tracing::error!(
                code = self.0.code,
                detail = self.0.detail,
                "a request failed"
            );
        }
        let status =
            StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.0)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self(problem)
    }
}

impl From<LibraryError> for Refused {
    fn from(error: LibraryError) -> Self {
        let mut problem = Problem::from(error);
        problem.detail = sentence(&problem.detail);
        Self(problem)
    }
}

impl From<RegistryError> for Refused {
    fn from(error: RegistryError) -> Self {
        let (kind, code) = match &error {
            RegistryError::NoSpace { .. } => (ProblemKind::Lacking, "no-space"),
            RegistryError::TooLarge { .. } => (ProblemKind::TooLarge, "object-too-large"),
            _ => (ProblemKind::Internal, "registry-failed"),
        };
        Self::new(kind, code, sentence(&error.to_string()))
    }
}

impl From<TxnError> for Refused {
    fn from(error: TxnError) -> Self {
        match error {
            TxnError::Registry(error) => error.into(),
            TxnError::Conflict { .. } => Self::new(
                ProblemKind::Changed,
                "changed",
                sentence(&error.to_string()),
            ),
        }
    }
}

impl From<TypedError> for Refused {
    fn from(error: TypedError) -> Self {
        let (kind, code) = match error {
            TypedError::Registry(error) => return error.into(),
            TypedError::NameTaken { .. } => (ProblemKind::Refused, "name-taken"),
            TypedError::Stale { .. } => (ProblemKind::Changed, "changed"),
            TypedError::Missing { .. } => (ProblemKind::NotFound, "not-found"),
            TypedError::Unreadable { .. } => (ProblemKind::Internal, "object-unreadable"),
        };
        Self::new(kind, code, sentence(&error.to_string()))
    }
}

/// An error's text as a sentence: with a capital and a full stop.
pub fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_ascii_uppercase());
    let end = if text.ends_with('.') { "" } else { "." };
    first.into_iter().chain(chars).chain(end.chars()).collect()
}

/// Text from outside, shortened and with its control characters made visible.
pub fn quoted(text: &str) -> String {
    let shown: String = text
        .chars()
        .take(80)
        .flat_map(char::escape_default)
        .collect();
    format!("\"{shown}\"")
}

/// The answer for a path that is not there.
pub fn no_such_path(path: &str) -> Refused {
    let detail = format!("There is nothing at {}.", quoted(path));
    Refused::new(ProblemKind::NotFound, "no-such-path", detail)
}

/// The answer for a method that a path does not have.
pub async fn method_not_allowed(method: axum::http::Method) -> Refused {
    let detail = format!("{method} is not possible here; the Allow header says what is.");
    Refused::invalid("method-not-allowed", detail).with_status(StatusCode::METHOD_NOT_ALLOWED)
}

/// The answer after a panic: the request is lost, the daemon is not.
pub fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let detail = "Kinglet met a fault in itself; the log says where. Please report it.";
    Refused::new(ProblemKind::Internal, "fault", detail).into_response()
}
