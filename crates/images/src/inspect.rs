//! The seam to `kinglet-disk`: what a file is, and reading all of it. Tests count its calls.

use std::fs::File;
use std::ops::ControlFlow;

use kinglet_disk::probe::{Limits, Probe, Wholeness};
use kinglet_disk::scan::{ScanError, read_through};
use kinglet_model::Digest;

/// What reading all of a file came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reading {
    /// SHA-256 of its bytes.
    pub(crate) sha256: Digest,
    /// Whether all of it is whole.
    pub(crate) wholeness: Wholeness,
}

/// Why a file was not read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unread {
    /// The caller stopped it.
    Stopped,
    /// The host could not read it.
    Failed(String),
}

/// Called now and then with the bytes done and the bytes in all; may stop the reading.
pub(crate) type Step<'a> = dyn FnMut(u64, u64) -> ControlFlow<()> + 'a;

/// Looks at files.
pub(crate) trait Inspect: Send + Sync + 'static {
    /// What the file is, by headers and tables.
    fn look(&self, file: &File) -> Result<Probe, String>;

    /// Reads the whole file.
    fn read(&self, file: &File, probe: &Probe, step: &mut Step<'_>) -> Result<Reading, Unread>;
}

/// The real one.
#[derive(Debug, Default)]
pub(crate) struct Disk;

impl Inspect for Disk {
    fn look(&self, file: &File) -> Result<Probe, String> {
        kinglet_disk::probe(file, &Limits::default()).map_err(|error| error.to_string())
    }

    fn read(&self, file: &File, probe: &Probe, step: &mut Step<'_>) -> Result<Reading, Unread> {
        match read_through(file, probe, step) {
            Ok(outcome) => Ok(Reading {
                sha256: outcome.sha256,
                wholeness: outcome.wholeness,
            }),
            // Somebody writes to it: it is not what was to be read any more.
            Err(ScanError::Cancelled | ScanError::Shrunk) => Err(Unread::Stopped),
            Err(error @ ScanError::Read { .. }) => Err(Unread::Failed(error.to_string())),
        }
    }
}
