//! How uploads are refused, in words.

use std::io;

use kinglet_model::problem::ProblemKind;
use kinglet_model::{Digest, Id, Image, Problem, Size};

use super::space::Space;

pub(crate) fn not_found(id: Id) -> Problem {
    let detail = format!(
        "There is no unfinished upload {id}: it was cancelled, expired after a time without a byte, or never began."
    );
    Problem::new(ProblemKind::NotFound, "upload-not-found", detail)
}

pub(crate) fn bad_name(name: &str, why: &str) -> Problem {
    let shown: String = name
        .chars()
        .take(80)
        .flat_map(char::escape_default)
        .collect();
    let detail = format!("An image cannot be uploaded as \"{shown}\": {why}.");
    Problem::new(ProblemKind::Invalid, "upload-name", detail)
}

pub(super) fn no_folder(name: &str) -> Problem {
    let shown: String = name
        .chars()
        .take(80)
        .flat_map(char::escape_default)
        .collect();
    let detail = format!("There is no image folder \"{shown}\" in the configuration.");
    Problem::new(ProblemKind::Invalid, "no-such-folder", detail)
}

pub(crate) fn exists(path: &str) -> Problem {
    let detail = format!(
        "Cannot upload {path}: a file of that name is already there, and nothing is ever \
         overwritten; delete its image first, or choose another name."
    );
    Problem::new(ProblemKind::Refused, "image-exists", detail)
}

pub(crate) fn upload_exists(image: &Image) -> Problem {
    let detail = format!(
        "Cannot upload {}: an upload of that name is unfinished (image {}); go on with it, or \
         cancel it.",
        image.spec.path, image.metadata.name
    );
    Problem::new(ProblemKind::Refused, "upload-exists", detail)
        .with_state(image.status.phase.as_str(), image.actions())
}

pub(super) fn no_space(path: &str, length: u64, space: Space) -> Problem {
    let detail = format!(
        "Cannot upload {path}: it needs {}, but {space}; free some space, or choose another folder.",
        Size(length)
    );
    Problem::new(ProblemKind::Lacking, "no-space", detail)
}

pub(super) fn busy(id: Id) -> Problem {
    let detail = format!(
        "Somebody else is sending bytes of upload {id} right now; wait until that ends, then ask for its offset."
    );
    Problem::new(ProblemKind::Refused, "upload-busy", detail)
}

pub(super) fn wrong_offset(given: u64, durable: u64) -> Problem {
    let detail = format!(
        "The bytes were said to begin at offset {given}, but those up to {durable} are here; go on from there."
    );
    Problem::new(ProblemKind::Refused, "upload-offset", detail)
}

pub(super) fn too_long(length: u64) -> Problem {
    let detail = format!(
        "More bytes came than the {length} that were announced; the file changed, or the wrong one \
         is being sent. Cancel the upload and begin again."
    );
    Problem::new(ProblemKind::TooLarge, "upload-too-long", detail)
}

pub(super) fn wrong_checksum() -> Problem {
    let detail = "The bytes of this request are not those of its Upload-Checksum, so none of them \
                  was kept; send them again.";
    Problem::new(ProblemKind::Invalid, "checksum-mismatch", detail)
}

pub(super) fn wrong_digest(path: &str, wanted: Digest, found: Digest) -> Problem {
    let detail = format!(
        "The upload of {path} was thrown away: its SHA-256 is {found}, but {wanted} was announced. \
         Compare the file with its source, and upload it again."
    );
    Problem::new(ProblemKind::Invalid, "digest-mismatch", detail)
}

/// The disk said no.
pub(crate) fn failed(doing: &str, path: &str, error: &io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            let detail = format!(
                "Cannot {doing} {path}: its disk is full; free some space, then go on where it stopped."
            );
            Problem::new(ProblemKind::Lacking, "no-space", detail)
        }
        io::ErrorKind::FileTooLarge => {
            let detail = format!("Cannot {doing} {path}: its file system has no files so large.");
            Problem::new(ProblemKind::TooLarge, "file-too-large", detail)
        }
        _ => {
            let detail = format!(
                "Cannot {doing} {path}: {error}; see that the image folder is there and can be written."
            );
            Problem::new(ProblemKind::Internal, "upload-failed", detail)
        }
    }
}

pub(super) fn ending() -> Problem {
    Problem::new(
        ProblemKind::Internal,
        "library-stopped",
        "The image library is not running; the program is ending.",
    )
}
