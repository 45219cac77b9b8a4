//! The image library: watched folders as a catalogue that is always true.
//!
//! The folder is the truth of what exists; the registry remembers what was learned. So nothing here
//! has to be imported, and nothing is lost when the program is killed: at the next start a scan
//! compares the two and brings what is remembered to what is there.
//!
//! - [`Library`] is the handle: open, start, refresh, check, delete, open an image's file.
//! - One task, the keeper, owns the catalogue. The kernel tells it of changes (`watch`); where it
//!   cannot, the folders are scanned every few seconds. Both end in the same comparison
//!   (`keeper::reconcile`) of what lies at a place with what was known of it.
//! - A file is *arriving* while somebody has it open for writing (`kernel`), then *checking*: what it
//!   is and whether it is whole (`check`, by `kinglet-disk`), then *ready* or *damaged*.
//! - Uploads (`upload`) are images from their first byte on; the keeper gives their files their places.
//! - Every change of an image object is an `amend::Amendment`, applied to the newest object by
//!   compare-and-put, so that a VM that begins to use the image at the same moment is not overlooked.

mod amend;
mod catalogue;
mod check;
mod config;
mod error;
mod fingerprint;
mod folder;
mod inspect;
mod keeper;
mod kernel;
mod kind;
mod library;
mod naming;
mod path;
mod progress;
mod sight;
mod store;
mod sums;
mod temporary;
#[cfg(test)]
mod tests;
mod upload;
mod walk;
mod watch;

pub use config::{FolderStatus, LibraryConfig, Watching};
pub use error::LibraryError;
pub use folder::Folder;
pub use kinglet_model::image::RefreshReport;
pub use library::Library;
pub use upload::{Checksum, MAX_UPLOAD, NewUpload, UploadState, Uploads, UploadsConfig};

/// A refusal, as it is sent.
pub type Refusal = kinglet_model::Problem;
