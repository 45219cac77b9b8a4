//! An initial RAM file system: one or more cpio archives (newc), the last of which may be compressed.
//! A kernel takes it as it is, so its compression is none that a person has to take off.
//!
//! Specification: Linux, `Documentation/driver-api/early-userspace/buffer-format.rst`.

use kinglet_model::image::Compression;

use super::damage::Damage;
use super::source::{Examined, Source, Trouble};
use super::{Facts, ProbeError, compressed, lz4};

const MAGICS: [&[u8]; 2] = [b"070701", b"070702"];
const HEADER: usize = 110;
const TRAILER: &[u8] = b"TRAILER!!!\0";
/// The longest path that Linux unpacks.
const NAME_MAX: u64 = 4096;

/// What stands after the plain archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing.
    End,
    /// A compressed stream to the end of the file.
    Stream { at: u64, kind: Compression },
    /// The same, lz4 as Linux has it.
    Lz4 { at: u64 },
}

/// Whether `bytes` begin with a cpio archive.
pub(super) fn is_archive(bytes: &[u8]) -> bool {
    MAGICS.iter().any(|magic| bytes.starts_with(magic))
}

pub(super) fn recognises(source: &Source<'_>) -> Result<bool, ProbeError> {
    for magic in MAGICS {
        if source.has(0, magic)? {
            return Ok(true);
        }
    }
    lz4::holds(source, is_archive)
}

pub(super) fn examine(source: &Source<'_>, _: &mut Facts) -> Examined {
    match rest(source)? {
        Rest::Lz4 { at } => lz4::check(source, at),
        Rest::End | Rest::Stream { .. } => Ok(()),
    }
}

/// Walks the plain archives and says what follows them.
pub(crate) fn rest(source: &Source<'_>) -> Examined<Rest> {
    let mut at = 0;
    loop {
        at = skip_zeros(source, at)?;
        if at == source.len() {
            return Ok(Rest::End);
        }
        if let Some(kind) = compressed::detect_at(source, at).map_err(Trouble::Read)? {
            return Ok(Rest::Stream { at, kind });
        }
        if lz4::starts_at(source, at).map_err(Trouble::Read)? {
            return Ok(Rest::Lz4 { at });
        }
        at = skip_archive(source, at)?;
    }
}

/// The end of the archive at `at`.
fn skip_archive(source: &Source<'_>, mut at: u64) -> Examined<u64> {
    loop {
        let header: [u8; HEADER] = source.array(at)?;
        if !is_archive(&header) {
            return Err(Damage::broken("its cpio archive is wrong").into());
        }
        let number = |index: usize| hex(&header[6 + index * 8..14 + index * 8]);
        let (Some(size), Some(name_size)) = (number(6), number(11)) else {
            return Err(Damage::broken("its cpio archive is wrong").into());
        };
        if name_size == 0 || name_size > NAME_MAX {
            return Err(Damage::broken("its cpio archive is wrong (a name is too long)").into());
        }
        let name = source.read(at + HEADER as u64, name_size as usize)?;
        let data = (at + HEADER as u64 + name_size).next_multiple_of(4);
        if name == TRAILER {
            return Ok(data.min(source.len()));
        }
        source.contains(data, size)?;
        at = (data + size).next_multiple_of(4);
    }
}

fn hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, digit| {
        Some(number << 4 | u64::from(char::from(*digit).to_digit(16)?))
    })
}

fn skip_zeros(source: &Source<'_>, mut at: u64) -> Examined<u64> {
    const PIECE: u64 = 4096;
    while at < source.len() {
        let piece = source.read(at, (source.len() - at).min(PIECE) as usize)?;
        if let Some(index) = piece.iter().position(|byte| *byte != 0) {
            return Ok(at + index as u64);
        }
        at += piece.len() as u64;
    }
    Ok(at)
}
