//! Why a request failed.

use kinglet_model::Problem;
use thiserror::Error;

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClientError {
    /// Nobody answers at the daemon's socket or address.
    #[error("Cannot reach the daemon at {place}: {why}")]
    Unreachable {
        /// The socket's path or the URL.
        place: String,
        /// Why, and what to do.
        why: String,
    },
    /// The daemon said no, and why.
    #[error("{0}")]
    Problem(Problem),
    /// The answer is not one that Kinglet gives.
    #[error("What answers at {place} does not speak Kinglet's API: {why}")]
    Protocol {
        /// The socket's path or the URL.
        place: String,
        /// What is wrong with the answer.
        why: String,
    },
}

impl ClientError {
    /// The problem document, where the daemon sent one.
    #[must_use]
    pub const fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            Self::Unreachable { .. } | Self::Protocol { .. } => None,
        }
    }
}
