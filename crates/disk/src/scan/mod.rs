//! Reading an image through, once: its SHA-256, and for a compressed one whether its stream comes to
//! its end, and the sums of its chunks.

mod extents;
mod stream;

use std::fs::File;
use std::io;
use std::ops::ControlFlow;

use kinglet_model::{Digest, Size};
use rustix::fs::{Advice, fadvise};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::probe::{Probe, ProbeError, Wholeness};
use crate::read::ReadAt;
use crate::sums::{Summer, Sums};
use extents::{Extent, Extents};
use stream::Stream;

/// Bytes read at a time.
const PIECE: usize = 1 << 20;
/// Zeros to hash a hole with.
static ZEROS: [u8; 256 << 10] = [0; 256 << 10];
/// Files above this size are not left in the page cache: reading a library through must not push out
/// what VMs work with. A smaller one is likely to be booted next.
const KEEP_CACHED: u64 = 256 << 20;

/// What reading through found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanOutcome {
    /// SHA-256 of the file's bytes.
    pub sha256: Digest,
    /// The probe's verdict, and for a compressed image that of its stream.
    pub wholeness: Wholeness,
    /// Bytes that a whole compressed image has when it is unpacked.
    pub unpacked: Option<Size>,
    /// The sums of the file's chunks, for a later look at what changed.
    pub sums: Sums,
}

/// Why reading through did not come to an end.
#[derive(Debug, Error)]
pub enum ScanError {
    /// The host could not read it.
    #[error("cannot read the file at byte {offset}: {source}")]
    Read {
        /// Where.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// Somebody cut it meanwhile.
    #[error("the file became shorter while it was read")]
    Shrunk,
    /// The callback said stop.
    #[error("reading was cancelled")]
    Cancelled,
}

/// Reads `file` through from its beginning to the length that it has now. `progress` is called with
/// the bytes done and in all, about once a mebibyte, and may stop it.
///
/// Uses one mebibyte of memory, and for a compressed image its window (see [`Limits::window`](crate::Limits::window)). Moves
/// the file's cursor where the file system tells holes.
///
/// # Errors
/// See [`ScanError`].
pub fn read_through(
    file: &File,
    probe: &Probe,
    progress: &mut dyn FnMut(u64, u64) -> ControlFlow<()>,
) -> Result<ScanOutcome, ScanError> {
    let total = file
        .length()
        .map_err(|source| ScanError::Read { offset: 0, source })?;
    // Only advice: a file system that takes none is read all the same.
    let _ = fadvise(file, 0, None, Advice::Sequential);
    let mut pass = Pass {
        hasher: Sha256::new(),
        summer: Summer::new(total),
        stream: Stream::of(file, probe)?,
        progress,
        total,
    };
    let mut buffer = vec![0; PIECE];
    for extent in Extents::of(file, total) {
        match extent {
            Extent::Data { start, end } => pass.data(file, start, end, &mut buffer)?,
            Extent::Hole { start, end } => pass.hole(start, end)?,
        }
    }
    let (wholeness, unpacked) = pass.stream.verdict();
    Ok(ScanOutcome {
        sha256: Digest::from_bytes(pass.hasher.finalize().into()),
        wholeness,
        unpacked,
        sums: pass.summer.finish(),
    })
}

struct Pass<'a> {
    hasher: Sha256,
    summer: Summer,
    stream: Stream,
    progress: &'a mut dyn FnMut(u64, u64) -> ControlFlow<()>,
    total: u64,
}

impl Pass<'_> {
    fn data(
        &mut self,
        file: &File,
        start: u64,
        end: u64,
        buffer: &mut [u8],
    ) -> Result<(), ScanError> {
        let mut at = start;
        while at < end {
            let size = (end - at).min(buffer.len() as u64) as usize;
            let count = match file.read_at(&mut buffer[..size], at) {
                Ok(0) => return Err(ScanError::Shrunk),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(ScanError::Read { offset: at, source }),
            };
            self.summer.update(&buffer[..count]);
            self.take(&buffer[..count]);
            if self.total > KEEP_CACHED {
                let _ = fadvise(
                    file,
                    at,
                    std::num::NonZeroU64::new(count as u64),
                    Advice::DontNeed,
                );
            }
            at += count as u64;
            self.report(at)?;
        }
        Ok(())
    }

    fn hole(&mut self, start: u64, end: u64) -> Result<(), ScanError> {
        let mut at = start;
        while at < end {
            let size = (end - at).min(ZEROS.len() as u64) as usize;
            self.summer.zeros(size as u64);
            self.take(&ZEROS[..size]);
            at += size as u64;
            self.report(at)?;
        }
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.stream.push(bytes);
    }

    fn report(&mut self, done: u64) -> Result<(), ScanError> {
        match (self.progress)(done, self.total) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ScanError::Cancelled),
        }
    }
}

impl From<ProbeError> for ScanError {
    fn from(error: ProbeError) -> Self {
        match error {
            ProbeError::Read { offset, source } => Self::Read { offset, source },
            ProbeError::NotAFile => Self::Read {
                offset: 0,
                source: io::ErrorKind::InvalidInput.into(),
            },
        }
    }
}
