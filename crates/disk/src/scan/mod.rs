//! Reading an image through, once: its SHA-256, and for a compressed one whether its stream comes to
//! its end.

mod extents;

use std::fs::File;
use std::io;
use std::ops::ControlFlow;

use kinglet_model::Digest;
use rustix::fs::{Advice, fadvise};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::probe::{Limits, Probe, Wholeness};
use crate::read::ReadAt;
use crate::unpack::{StreamError, Unpacker};
use extents::{Extent, Extents};

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
/// Uses one mebibyte of memory, and for a compressed image its window (see [`Limits::window`]). Moves
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
        stream: Stream::of(probe),
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
    Ok(ScanOutcome {
        sha256: Digest::from_bytes(pass.hasher.finalize().into()),
        wholeness: pass.stream.verdict(),
    })
}

struct Pass<'a> {
    hasher: Sha256,
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

/// The compressed stream in the file, as far as it was followed.
enum Stream {
    /// Nothing (more) to follow; this is the verdict.
    Settled(Wholeness),
    /// So far so good.
    Open(Box<Unpacker>),
}

impl Stream {
    fn of(probe: &Probe) -> Self {
        match probe.compression {
            Some(kind) if probe.wholeness.is_whole() => {
                match Unpacker::new(kind, Limits::default().window, 0) {
                    Ok(unpacker) => Self::Open(Box::new(unpacker)),
                    Err(error) => Self::Settled(damaged(error)),
                }
            }
            _ => Self::Settled(probe.wholeness.clone()),
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        if let Self::Open(unpacker) = self
            && let Err(error) = unpacker.push(bytes)
        {
            *self = Self::Settled(damaged(error));
        }
    }

    fn verdict(self) -> Wholeness {
        match self {
            Self::Settled(wholeness) => wholeness,
            Self::Open(unpacker) => match unpacker.finish() {
                Ok(_) => Wholeness::Whole,
                Err(error) => damaged(error),
            },
        }
    }
}

fn damaged(error: StreamError) -> Wholeness {
    crate::probe::Damage::from(error).into()
}
