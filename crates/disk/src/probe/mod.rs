//! What a file is, by its content and never by its name, and whether it is whole.
//!
//! [`FORMATS`] is the list of what is known, in the order in which it is asked; each row is a module
//! with `recognises` (a look at the magic numbers) and `examine` (headers and tables). A file that
//! nobody recognises is a raw disk.

mod compressed;
pub(crate) mod damage;
mod erofs;
mod foreign;
mod gpt;
pub(crate) mod initramfs;
mod iso;
mod kernel;
mod lz4;
mod mbr;
mod qcow2;
mod raw;
pub(crate) mod source;
mod squashfs;
mod vhd;
mod vhdx;
mod vmdk;
mod xz;
mod zstd;

use std::fs::File;
use std::io;

use kinglet_model::Size;
use kinglet_model::image::{Compression, Format, PartitionTable};
use thiserror::Error;

use crate::read::ReadAt;
pub(crate) use damage::Damage;
use source::{Examined, Source, Trouble};

/// What was found out about a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What it is; inside the compression, where there is one.
    pub format: Format,
    /// The compression around it. A compressed initramfs has none: a kernel takes it as it is.
    pub compression: Option<Compression>,
    /// Bytes of the disk that a guest sees (for discs and file systems: of the file). `None` for what
    /// is not a disk, and where a compression hides it.
    pub virtual_size: Option<Size>,
    /// How a raw disk or a disc is divided. `None` where that was not looked at.
    pub partitions: Option<PartitionTable>,
    /// Whether all of it is there and consistent, as far as its headers and tables tell.
    pub wholeness: Wholeness,
    /// The files that it names (backing file, data file, extents, parent), safe to show, never opened.
    /// Not empty only when damaged for that reason.
    pub refers_to: Vec<String>,
}

/// Whether an image is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wholeness {
    /// Nothing is missing, as far as was looked.
    Whole,
    /// It is not to be used.
    Damaged {
        /// Why, one clause: `cut short: it has 734003200 of 1073741824 bytes`.
        reason: String,
        /// What to do: `copy it again`.
        remedy: String,
    },
}

impl Wholeness {
    /// Whether nothing is missing.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        matches!(self, Self::Whole)
    }
}

/// How much is spent on one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of headers and tables that are read, at most.
    pub metadata: u64,
    /// Bytes at the beginning of a compressed image that are unpacked to see what it is.
    pub prefix: usize,
    /// Memory that an xz or zstd stream may ask for, in bytes.
    pub window: u64,
}

impl Default for Limits {
    /// 1 GiB of tables (an 8 TiB qcow2), 4 MiB of prefix, and windows as the tools allow by default.
    fn default() -> Self {
        Self {
            metadata: 1 << 30,
            prefix: 4 << 20,
            window: 160 << 20,
        }
    }
}

/// Why a file could not be examined. Says nothing about the image.
#[derive(Debug, Error)]
pub enum ProbeError {
    /// The host could not read it.
    #[error("cannot read the file at byte {offset}: {source}")]
    Read {
        /// Where.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// A folder, device, pipe or socket.
    #[error("not a regular file")]
    NotAFile,
}

/// Finds out what `file` is and whether it is whole, by reading headers and tables.
///
/// # Errors
/// Only where the file cannot be read. Whatever its content, the answer is a [`Probe`].
pub fn probe(file: &File, limits: &Limits) -> Result<Probe, ProbeError> {
    let metadata = file
        .metadata()
        .map_err(|source| ProbeError::Read { offset: 0, source })?;
    if !metadata.is_file() {
        return Err(ProbeError::NotAFile);
    }
    probe_bytes(file, limits)
}

/// The same for anything that can be read at offsets.
///
/// # Errors
/// As [`probe`].
pub fn probe_bytes(bytes: &dyn ReadAt, limits: &Limits) -> Result<Probe, ProbeError> {
    let source = Source::new(bytes, limits.metadata)?;
    match compressed::detect(&source)? {
        Some(compression) => compressed::probe(&source, compression, limits),
        None => probe_plain(&source),
    }
}

/// What a format's module finds, filled in as it is found: what is known of a damaged image is kept.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) virtual_size: Option<u64>,
    pub(crate) partitions: Option<PartitionTable>,
    pub(crate) refers_to: Vec<String>,
}

struct Known {
    format: Format,
    recognises: fn(&Source<'_>) -> Result<bool, ProbeError>,
    examine: fn(&Source<'_>, &mut Facts) -> Examined,
}

/// Every format, asked in this order. Raw recognises everything.
const FORMATS: &[Known] = &[
    Known {
        format: Format::Qcow2,
        recognises: qcow2::recognises,
        examine: qcow2::examine,
    },
    Known {
        format: Format::Vmdk,
        recognises: vmdk::recognises,
        examine: vmdk::examine,
    },
    Known {
        format: Format::Vhdx,
        recognises: vhdx::recognises,
        examine: vhdx::examine,
    },
    Known {
        format: Format::Squashfs,
        recognises: squashfs::recognises,
        examine: squashfs::examine,
    },
    Known {
        format: Format::Kernel,
        recognises: kernel::recognises,
        examine: kernel::examine,
    },
    Known {
        format: Format::Initramfs,
        recognises: initramfs::recognises,
        examine: initramfs::examine,
    },
    Known {
        format: Format::Erofs,
        recognises: erofs::recognises,
        examine: erofs::examine,
    },
    Known {
        format: Format::Iso,
        recognises: iso::recognises,
        examine: iso::examine,
    },
    Known {
        format: Format::Vhd,
        recognises: vhd::recognises,
        examine: vhd::examine,
    },
    Known {
        format: Format::Raw,
        recognises: raw::recognises,
        examine: raw::examine,
    },
];

fn probe_plain(source: &Source<'_>) -> Result<Probe, ProbeError> {
    for known in FORMATS {
        if (known.recognises)(source)? {
            return examine(source, known);
        }
    }
    // Not reached: raw recognises everything.
    Err(ProbeError::NotAFile)
}

fn examine(source: &Source<'_>, known: &Known) -> Result<Probe, ProbeError> {
    let mut facts = Facts::default();
    let examined = (known.examine)(source, &mut facts);
    let wholeness = if facts.refers_to.is_empty() {
        wholeness(source, examined)?
    } else {
        Damage::refers_to(&facts.refers_to).into()
    };
    Ok(Probe {
        format: known.format,
        compression: None,
        virtual_size: facts.virtual_size.map(Size),
        partitions: facts.partitions,
        wholeness,
        refers_to: facts.refers_to,
    })
}

fn wholeness(source: &Source<'_>, examined: Examined) -> Result<Wholeness, ProbeError> {
    match examined {
        Ok(()) | Err(Trouble::Unseen) => Ok(Wholeness::Whole),
        Err(Trouble::Damage(damage)) => Ok(damage.into()),
        Err(Trouble::Short { needed }) => Ok(Damage::cut_short(source.len(), needed, false).into()),
        Err(Trouble::Read(error)) => Err(error),
    }
}
