//! The one form in which the API says no: RFC 9457 problem documents.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

use crate::ActionState;

/// What kind of failure it is. Decides the HTTP status and the CLI's exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemKind {
    /// The request makes no sense: 400.
    Invalid,
    /// Not signed in: 401.
    Unauthenticated,
    /// Signed in, but from a place or page that may not: 403.
    Forbidden,
    /// No such object: 404.
    NotFound,
    /// The object's state does not allow it now: 409.
    Refused,
    /// The object changed since it was read (`If-Match`): 412.
    Changed,
    /// Too large: 413.
    TooLarge,
    /// The host lacks what it needs (space, memory, a program): 507.
    Lacking,
    /// Kinglet failed: 500.
    Internal,
}

impl ProblemKind {
    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Refused => 409,
            Self::Changed => 412,
            Self::TooLarge => 413,
            Self::Lacking => 507,
            Self::Internal => 500,
        }
    }

    /// A few words for the `title` member.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Invalid => "The request cannot be understood",
            Self::Unauthenticated => "Sign in first",
            Self::Forbidden => "Not allowed from here",
            Self::NotFound => "Not found",
            Self::Refused => "Not possible now",
            Self::Changed => "Changed in the meantime",
            Self::TooLarge => "Too large",
            Self::Lacking => "The host lacks something for it",
            Self::Internal => "Kinglet failed",
        }
    }
}

/// A problem document (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema, Error)]
#[serde(rename_all = "camelCase")]
#[error("{detail}")]
pub struct Problem {
    /// What kind of failure it is.
    pub kind: ProblemKind,
    /// The HTTP status.
    pub status: u16,
    /// A few words, the same for each problem of this kind.
    pub title: String,
    /// A stable word for programs: `image-not-ready`, `name-taken`, `port-in-use` …
    #[schema(example = "image-not-ready")]
    pub code: String,
    /// One sentence for a person: what was tried, on what, why it failed, what to do.
    pub detail: String,
    /// The object's phase, where its state is the reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// What may be done with the object instead, where its state is the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<ActionState>,
}

impl Problem {
    /// A problem of this kind.
    #[must_use]
    pub fn new(kind: ProblemKind, code: &str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            status: kind.status(),
            title: kind.title().to_owned(),
            code: code.to_owned(),
            detail: detail.into(),
            phase: None,
            actions: Vec::new(),
        }
    }

    /// The same problem, saying in which phase the object is and what may be done with it.
    #[must_use]
    pub fn with_state(mut self, phase: &str, actions: Vec<ActionState>) -> Self {
        self.phase = Some(phase.to_owned());
        self.actions = actions;
        self
    }
}
