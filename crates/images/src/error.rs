//! What can go wrong with the library as a whole.

use std::path::PathBuf;

use kinglet_model::Problem;
use kinglet_model::problem::ProblemKind;
use kinglet_registry::RegistryError;
use kinglet_registry::typed::TypedError;
use thiserror::Error;

/// Why the library could not be opened or asked.
#[derive(Debug, Error)]
pub enum LibraryError {
    /// Two folders have one name.
    #[error("two image folders are named {0}; give each a name of its own")]
    NameTwice(String),
    /// One folder lies in another, so that its images would be there twice.
    #[error(
        "the image folder {} lies in the image folder {}, whose sub-folders are watched anyway; \
         remove it from the configuration",
        inner.display(), outer.display()
    )]
    Overlap {
        /// The inner folder.
        inner: PathBuf,
        /// The outer one.
        outer: PathBuf,
    },
    /// The registry could not be read or written.
    #[error(transparent)]
    Registry(#[from] TypedError),
    /// The library was shut down, or never started.
    #[error("the image library is not running; the program is ending")]
    Stopped,
}

impl From<RegistryError> for LibraryError {
    fn from(error: RegistryError) -> Self {
        Self::Registry(TypedError::Registry(error))
    }
}

impl From<LibraryError> for Problem {
    fn from(error: LibraryError) -> Self {
        let (kind, code) = match &error {
            LibraryError::NameTwice(_) | LibraryError::Overlap { .. } => {
                (ProblemKind::Invalid, "image-folders-wrong")
            }
            LibraryError::Registry(TypedError::Registry(RegistryError::NoSpace { .. })) => {
                (ProblemKind::Lacking, "no-space")
            }
            LibraryError::Registry(_) => (ProblemKind::Internal, "registry-failed"),
            LibraryError::Stopped => (ProblemKind::Internal, "library-stopped"),
        };
        Self::new(kind, code, error.to_string())
    }
}
