//! The disk inside an image, whatever the image's format: its length, its bytes at any offset, and where
//! it is known to be zeros.
//!
//! [`open`] takes the bytes of an image (a file, or anything else that is [`ReadAt`]: the plain data of an
//! unlocked container) and its format as it was found when the image was checked. Nothing is detected
//! again, and nothing that the image names is opened. [`open_over`] reads a VM's overlay over the image
//! beneath it, which the caller opened. A compressed image is no [`Source`]: it can be read only from its
//! beginning, by [`stream::Unpacked`].
//!
//! | format | read | refused |
//! |---|---|---|
//! | raw, ISO, EROFS, squashfs | as it is; holes are not read | – |
//! | qcow2 | versions 2 and 3, zlib and zstd clusters, subclusters | encrypted inside, data file, marked corrupt |
//! | VMDK | sparse and stream-optimised, in one file | extents in other files, parents, ESX parts |
//! | VHD | fixed, dynamic | differencing |
//! | VHDX | fixed, dynamic | differencing, a log to be replayed |
//!
//! Every reader is total and takes a bounded amount of memory, whatever the image says: 2 MiB of tables
//! (see [`tables`]) and two clusters for each thread that reads. A table that points at itself, at the
//! header or at another table's data gives wrong bytes, never an endless loop: no lookup is deeper than
//! the format's two levels.
//!
//! **Why not a crate.** `imago` reads qcow2 without zstd clusters, subclusters and images marked dirty, and
//! VMDK only flat; `vmdk-core` reads from one cursor (no two threads at once) and all tables into memory.
//! The headers are parsed by our own probe in any case; what is added here is one lookup for each format
//! over one shared reader ([`mapped`]).

mod inflate;
mod mapped;
mod qcow2;
mod raw;
pub mod stream;
mod tables;

use std::io;
use std::sync::Arc;

use kinglet_model::image::Format;
use thiserror::Error;

use crate::probe::damage::Damage;
use crate::read::{Extent, ReadAt};
use mapped::Mapped;
use raw::Raw;

/// The bytes of an image.
pub type Bytes = Arc<dyn ReadAt + Send + Sync>;

/// A disk that is read at offsets, by several threads at once.
pub trait Source: Send + Sync {
    /// Bytes of the disk.
    fn length(&self) -> u64;

    /// Fills `buffer` with the disk's bytes from `offset`.
    ///
    /// # Errors
    /// [`SourceError::Beyond`] where not all of it lies in the disk; else see [`SourceError`].
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), SourceError>;

    /// What stands at `offset`, and for how many bytes at least. What is zeros need not be read.
    ///
    /// # Errors
    /// As [`Source::read_exact_at`].
    fn extent(&self, offset: u64) -> Result<Extent, SourceError>;
}

/// Why a disk cannot be read.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The host could not read the image.
    #[error("cannot read the image at byte {offset}: {source}")]
    Read {
        /// Where in the image.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// The image contradicts itself or ends early.
    #[error("the image is damaged: {reason}; {remedy}")]
    Damaged {
        /// What is wrong, one clause.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// The image may be sound; this host does not read such ones.
    #[error("the image cannot be converted here: {reason}; {remedy}")]
    Refused {
        /// What it is, one clause.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// The caller asked for bytes that the disk does not have.
    #[error("byte {offset} lies beyond the end of the disk ({length} bytes)")]
    Beyond {
        /// The first that was asked for.
        offset: u64,
        /// Bytes of the disk.
        length: u64,
    },
}

/// The disk in an image of this format that stands alone.
///
/// # Errors
/// [`SourceError::Refused`] where the image needs another file, and for formats that are no disk; else see
/// [`SourceError`].
pub fn open(bytes: Bytes, format: Format) -> Result<Box<dyn Source>, SourceError> {
    Ok(match format {
        Format::Raw | Format::Iso | Format::Erofs | Format::Squashfs => Box::new(Raw::open(bytes)?),
        Format::Qcow2 => {
            let map = qcow2::Map::open(&bytes, false)?;
            Box::new(Mapped::new(bytes, map, None))
        }
        Format::Vmdk
        | Format::Vhd
        | Format::Vhdx
        | Format::Kernel
        | Format::Initramfs
        | Format::Luks => {
            return Err(SourceError::refused(
                format!("it is no disk, but {format}"),
                "download it as it is",
            ));
        }
    })
}

/// The disk of an overlay (qcow2) over the disk `beneath`, which the caller opened: the name in the
/// overlay is not looked at. Overlays on overlays are opened from the lowest up.
///
/// # Errors
/// [`SourceError::Refused`] where the overlay has nothing beneath; else as [`open`].
pub fn open_over(bytes: Bytes, beneath: Box<dyn Source>) -> Result<Box<dyn Source>, SourceError> {
    let map = qcow2::Map::open(&bytes, true)?;
    Ok(Box::new(Mapped::new(bytes, map, Some(beneath))))
}

/// Bytes of the disk that have to be read: at most as many are written when it is converted, apart from
/// the tables of the new image.
///
/// # Errors
/// As [`Source::extent`].
pub fn allocated(source: &dyn Source) -> Result<u64, SourceError> {
    let (mut at, mut data) = (0, 0u64);
    while at < source.length() {
        let extent = source.extent(at)?;
        if !extent.is_zeros {
            data = data.saturating_add(extent.length);
        }
        at = at.saturating_add(extent.length.max(1));
    }
    Ok(data)
}

impl SourceError {
    fn damaged(reason: impl Into<String>) -> Self {
        Damage::broken(reason).into()
    }

    fn refused(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Refused {
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }

    /// The image ends before something at `offset` does.
    fn cut_short(length: u64, needed: u64) -> Self {
        Damage::cut_short(length, needed, false).into()
    }
}

impl From<Damage> for SourceError {
    fn from(damage: Damage) -> Self {
        Self::Damaged {
            reason: damage.reason,
            remedy: damage.remedy,
        }
    }
}

/// Fills `buffer` from `offset` of an image of `length` bytes.
fn fill(bytes: &Bytes, length: u64, buffer: &mut [u8], offset: u64) -> Result<(), SourceError> {
    let needed = offset.saturating_add(buffer.len() as u64);
    if needed > length {
        return Err(SourceError::cut_short(length, needed));
    }
    let (mut at, mut rest) = (offset, buffer);
    while !rest.is_empty() {
        match bytes.read_at(rest, at) {
            // The file was cut while it was being read.
            Ok(0) => return Err(SourceError::cut_short(at, needed)),
            Ok(count) => {
                at += count as u64;
                rest = &mut rest[count..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(SourceError::Read { offset: at, source }),
        }
    }
    Ok(())
}

fn length_of(bytes: &Bytes) -> Result<u64, SourceError> {
    bytes
        .length()
        .map_err(|source| SourceError::Read { offset: 0, source })
}

/// That `length` bytes at `offset` lie in a disk of `of` bytes.
fn check_range(of: u64, offset: u64, length: usize) -> Result<(), SourceError> {
    match offset.checked_add(length as u64) {
        Some(end) if end <= of => Ok(()),
        _ => Err(SourceError::Beyond { offset, length: of }),
    }
}
