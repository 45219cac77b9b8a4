//! The disks that VMs write to: copy-on-write overlays (qcow2, version 3) over an image that is never
//! written, and empty disks.
//!
//! The backing file's format is recorded in the overlay, as it was found when the image was checked.
//! Nothing detects it again at run time, so a guest that writes a qcow2 header onto its raw disk
//! changes nothing.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use kinglet_model::Size;
use kinglet_model::image::Format;
use thiserror::Error;

use crate::atomic;
use crate::qcow2::NewImage;

const SECTOR: u64 = 512;

/// The image under an overlay.
#[derive(Debug, Clone, Copy)]
pub struct Backing<'a> {
    /// Where it is. Absolute: a relative one would be looked for beside the overlay, and one with a
    /// colon would be taken for a protocol.
    pub path: &'a Path,
    /// What it was found to be.
    pub format: Format,
    /// Bytes of the disk that a guest sees.
    pub size: Size,
}

/// Why a disk was not created. Nothing is left behind.
#[derive(Debug, Error)]
pub enum CreateError {
    /// The host could not write it.
    #[error("cannot create the disk {}: {source}", path.display())]
    Write {
        /// The disk.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No disk has this size.
    #[error(
        "a disk of {size} is not possible; choose a size between 512 B and {}",
        Size(MAX_SIZE)
    )]
    Size {
        /// The size asked for.
        size: Size,
    },
    /// The overlay would hide the end of its image.
    #[error("a disk of {size} is smaller than its image ({backing}); choose at least {backing}")]
    SmallerThanBacking {
        /// The size asked for.
        size: Size,
        /// The image's size.
        backing: Size,
    },
    /// The image's path cannot be recorded.
    #[error("the image's path {} cannot be recorded in an overlay: it has to be absolute and at most 1023 bytes long", .0.display())]
    BackingPath(PathBuf),
    /// Not a disk.
    #[error("a disk cannot be made from an image of the format {0}")]
    BackingFormat(Format),
}

/// The largest disk: 1 PiB, whose L1 table is half of what QEMU accepts.
const MAX_SIZE: u64 = 1 << 50;

/// QEMU's name for the driver of a format; `None` for what is not a disk. Discs and read-only file
/// systems are raw to it.
#[must_use]
pub const fn qemu_driver(format: Format) -> Option<&'static str> {
    match format {
        Format::Raw | Format::Iso | Format::Erofs | Format::Squashfs => Some("raw"),
        Format::Qcow2 => Some("qcow2"),
        Format::Vmdk => Some("vmdk"),
        Format::Vhd => Some("vpc"),
        Format::Vhdx => Some("vhdx"),
        Format::Kernel | Format::Initramfs | Format::Luks => None,
    }
}

/// Creates an overlay of `size` (rounded up to a sector) over `backing`.
///
/// # Errors
/// See [`CreateError`]; also when `path` exists already.
pub fn create(path: &Path, backing: &Backing<'_>, size: Size) -> Result<(), CreateError> {
    if size < backing.size {
        return Err(CreateError::SmallerThanBacking {
            size,
            backing: backing.size,
        });
    }
    let name = backing.path.as_os_str();
    let fits = backing.path.is_absolute() && name.len() <= 1023 && !has_nul(name);
    if !fits {
        return Err(CreateError::BackingPath(backing.path.to_owned()));
    }
    let format = qemu_driver(backing.format).ok_or(CreateError::BackingFormat(backing.format))?;
    let image = NewImage {
        virtual_size: sectors(size)?,
        backing: Some((name.as_bytes(), format)),
    };
    write(path, |file| write_qcow2(file, &image))
}

/// Creates an empty qcow2 disk of `size` (rounded up to a sector).
///
/// # Errors
/// As [`create`].
pub fn create_qcow2(path: &Path, size: Size) -> Result<(), CreateError> {
    let image = NewImage {
        virtual_size: sectors(size)?,
        backing: None,
    };
    write(path, |file| write_qcow2(file, &image))
}

/// Creates an empty raw disk of `size` (rounded up to a sector) that takes no space yet.
///
/// # Errors
/// As [`create`].
pub fn create_raw(path: &Path, size: Size) -> Result<(), CreateError> {
    let size = sectors(size)?;
    write(path, |file| file.set_len(size))
}

fn has_nul(name: &OsStr) -> bool {
    name.as_bytes().contains(&0)
}

fn sectors(size: Size) -> Result<u64, CreateError> {
    match size.bytes().checked_next_multiple_of(SECTOR) {
        Some(bytes) if bytes > 0 && bytes <= MAX_SIZE => Ok(bytes),
        _ => Err(CreateError::Size { size }),
    }
}

fn write_qcow2(file: &File, image: &NewImage<'_>) -> io::Result<()> {
    for (offset, bytes) in image.pieces() {
        file.write_all_at(&bytes, offset)?;
    }
    file.set_len(image.file_size())
}

fn write(path: &Path, write: impl FnOnce(&File) -> io::Result<()>) -> Result<(), CreateError> {
    atomic::create(path, write).map_err(|source| CreateError::Write {
        path: path.to_owned(),
        source,
    })
}
