//! xz streams, read from their end: the footer and the index say whether the file is complete and how
//! many bytes it holds, without unpacking it.
//!
//! Specification: "The .xz File Format", 1.2.

use super::damage::Damage;
use super::source::{Examined, Source, Trouble};
use crate::fields::le32;
use crate::unpack::StreamError;

/// Stream header and stream footer.
const FRAME: u64 = 12;
/// A larger index (more than a million blocks) is left to the reading through.
const INDEX_MAX: u64 = 16 << 20;
const STREAMS_MAX: u32 = 4096;

/// Bytes that come out of the file.
pub(super) fn unpacked_size(source: &Source<'_>) -> Examined<Option<u64>> {
    let Some(mut end) = source.known_len() else {
        return Ok(None);
    };
    let mut total = 0u64;
    for _ in 0..STREAMS_MAX {
        end = without_padding(source, end)?;
        let (start, size) = stream(source, end)?;
        total = total.checked_add(size).ok_or_else(corrupt)?;
        if start == 0 {
            return Ok(Some(total));
        }
        end = start;
    }
    Ok(None)
}

/// Zeros may follow a stream, four at a time.
fn without_padding(source: &Source<'_>, mut end: u64) -> Examined<u64> {
    while end >= 4 {
        let word: [u8; 4] = source.array(end - 4)?;
        if word != [0; 4] {
            break;
        }
        end -= 4;
    }
    Ok(end)
}

/// Where the stream that ends at `end` begins, and the size of its content.
fn stream(source: &Source<'_>, end: u64) -> Examined<(u64, u64)> {
    let footer_at = end.checked_sub(FRAME).ok_or_else(cut_short)?;
    let footer: [u8; 12] = source.array(footer_at)?;
    if &footer[10..] != b"YZ" || crc32fast::hash(&footer[4..10]) != le32(&footer, 0) {
        return Err(cut_short().into());
    }
    let index_size = (u64::from(le32(&footer, 4)) + 1) * 4;
    if index_size > INDEX_MAX {
        return Err(Trouble::Unseen);
    }
    let index_at = footer_at.checked_sub(index_size).ok_or_else(corrupt)?;
    let (packed, unpacked) = index(&source.read(index_at, index_size as usize)?)?;
    let start = index_at
        .checked_sub(packed)
        .and_then(|blocks| blocks.checked_sub(FRAME));
    let start = start.ok_or_else(corrupt)?;
    if !source.has(start, b"\xfd7zXZ\0").map_err(Trouble::Read)? {
        return Err(corrupt().into());
    }
    Ok((start, unpacked))
}

/// The sizes of all blocks together, in the file and unpacked.
fn index(bytes: &[u8]) -> Result<(u64, u64), Damage> {
    let (body, checksum) = bytes.split_at(bytes.len() - 4);
    if body.first() != Some(&0) || crc32fast::hash(body) != le32(checksum, 0) {
        return Err(corrupt());
    }
    let mut rest = &body[1..];
    let records = number(&mut rest)?;
    let (mut packed, mut unpacked) = (0u64, 0u64);
    for _ in 0..records {
        let block = number(&mut rest)?
            .checked_next_multiple_of(4)
            .ok_or_else(corrupt)?;
        packed = packed.checked_add(block).ok_or_else(corrupt)?;
        unpacked = unpacked
            .checked_add(number(&mut rest)?)
            .ok_or_else(corrupt)?;
    }
    Ok((packed, unpacked))
}

/// A number in groups of seven bits, at most nine of them.
fn number(rest: &mut &[u8]) -> Result<u64, Damage> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (byte, tail) = rest.split_first().ok_or_else(corrupt)?;
        *rest = tail;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(corrupt())
}

fn cut_short() -> Damage {
    StreamError::CutShort.into()
}

fn corrupt() -> Damage {
    StreamError::Corrupt.into()
}
