//! Failures of the host and the registry, as they are told to a person.

use std::io;
use std::path::Path;

use kinglet_model::problem::ProblemKind;
use kinglet_model::{Id, Problem};
use kinglet_registry::typed::TypedError;

/// Kinglet or the host failed at something that should work.
pub(crate) fn internal(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Internal, "internal", detail)
}

/// The host lacks something.
pub(crate) fn lacking(code: &str, detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Lacking, code, detail)
}

/// The request makes no sense.
pub(crate) fn invalid(code: &str, detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Invalid, code, detail)
}

/// State forbids it.
pub(crate) fn refused(code: &str, detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::Refused, code, detail)
}

pub(crate) fn no_vm(id: Id) -> Problem {
    Problem::new(
        ProblemKind::NotFound,
        "vm-not-found",
        format!("There is no VM {id}; it may have been deleted."),
    )
}

/// What was being done to `path` failed.
pub(crate) fn io(what: &str, path: &Path, error: &io::Error) -> Problem {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => lacking(
            "no-space",
            format!("Cannot {what} {path}: no space is left there; free some and try again."),
        ),
        io::ErrorKind::ReadOnlyFilesystem => lacking(
            "read-only",
            format!("Cannot {what} {path}: the file system is read-only; make it writable."),
        ),
        io::ErrorKind::PermissionDenied => lacking(
            "not-permitted",
            format!("Cannot {what} {path}: this user may not; check the folder's owner and mode."),
        ),
        _ => internal(format!("Cannot {what} {path}: {error}.")),
    }
}

/// The registry said no.
pub(crate) fn registry(error: &TypedError) -> Problem {
    let (kind, code) = match error {
        TypedError::NameTaken { .. } => (ProblemKind::Refused, "name-taken"),
        TypedError::Stale { .. } => (ProblemKind::Changed, "changed"),
        TypedError::Missing { .. } => (ProblemKind::NotFound, "vm-not-found"),
        TypedError::Unreadable { .. } => (ProblemKind::Internal, "unreadable-object"),
        TypedError::Registry(kinglet_registry::RegistryError::NoSpace { .. }) => {
            (ProblemKind::Lacking, "no-space")
        }
        TypedError::Registry(_) => (ProblemKind::Internal, "registry"),
    };
    Problem::new(kind, code, sentence(&error.to_string()))
}

/// `text` with a capital at its beginning and a full stop at its end.
pub(crate) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(char::to_uppercase).into_iter().flatten();
    let mut out: String = first.chain(chars).collect();
    if !out.ends_with('.') {
        out.push('.');
    }
    out
}
