//! Why zram is not as wanted, in words and figures.

use std::io;
use std::path::{Path, PathBuf};

use kinglet_model::problem::ProblemKind;
use kinglet_model::{Problem, Size};
use thiserror::Error;

/// Why zram is not as wanted.
#[derive(Debug, Error)]
pub enum ZramError {
    /// The kernel has none ready.
    #[error("{0}")]
    Unsupported(String),
    /// Another change is under way.
    #[error("zram is being changed already; wait until that is done.")]
    Busy,
    /// The size makes no sense here.
    #[error(
        "zram of {asked} is refused: it is at least {least}, and at most {most}, twice this host's memory."
    )]
    Size {
        /// What was asked for.
        asked: Size,
        /// The least.
        least: Size,
        /// The most.
        most: Size,
    },
    /// An algorithm that this kernel does not have.
    #[error("This kernel's zram has no algorithm {asked:?}; it has {}.", known.join(", "))]
    Algorithm {
        /// What was asked for, cut.
        asked: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A priority outside its range.
    #[error("A priority of {0} is out of range; it is a number from 0 to 32767.")]
    Priority(u16),
    /// What is stored would not fit elsewhere.
    #[error(
        "zram cannot be switched off now: {used} are swapped to it, but there is room for {room} only. \
         It lacks {lacking}: stop a VM first, or add a swap file."
    )]
    WouldNotFit {
        /// What is swapped to it, before compression.
        used: Size,
        /// Where it could go.
        room: Size,
        /// The difference.
        lacking: Size,
    },
    /// The system said no.
    #[error("Could not {what} {}: {source}.", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl ZramError {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

impl From<&ZramError> for Problem {
    fn from(error: &ZramError) -> Self {
        let (kind, code) = match error {
            ZramError::Unsupported(_) => (ProblemKind::Lacking, "no-zram"),
            ZramError::Busy => (ProblemKind::Refused, "zram-busy"),
            ZramError::Size { .. } => (ProblemKind::Invalid, "zram-size"),
            ZramError::Algorithm { .. } => (ProblemKind::Invalid, "zram-algorithm"),
            ZramError::Priority(_) => (ProblemKind::Invalid, "swap-priority"),
            ZramError::WouldNotFit { .. } => (ProblemKind::Refused, "zram-off-does-not-fit"),
            ZramError::Io { .. } => (ProblemKind::Internal, "zram-failed"),
        };
        Self::new(kind, code, error.to_string())
    }
}
