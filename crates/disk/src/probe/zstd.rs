//! Zstandard frames, walked from block header to block header without unpacking: whether they end
//! where the file ends, and how many bytes they hold, where they say so.
//!
//! Specification: RFC 8878, chapter 3.

use super::source::{Examined, Source};
use crate::fields::{le16, le32, le64};
use crate::unpack::StreamError;

const FRAME: u32 = 0xFD2F_B528;
const SKIPPABLE: u32 = 0x184D_2A50;

/// Bytes that come out of the file, where every frame says it.
pub(super) fn unpacked_size(source: &Source<'_>) -> Examined<Option<u64>> {
    let (mut at, mut total) = (0, Some(0u64));
    while at < source.len() {
        let start: [u8; 4] = source.array(at)?;
        match le32(&start, 0) {
            FRAME => {
                let (end, size) = frame(source, at)?;
                total = total
                    .zip(size)
                    .and_then(|(total, size)| total.checked_add(size));
                at = end;
            }
            magic if magic & !15 == SKIPPABLE => {
                let header: [u8; 8] = source.array(at)?;
                at += 8 + u64::from(le32(&header, 4));
                source.contains(0, at)?;
            }
            _ => return Err(super::Damage::from(StreamError::Garbage).into()),
        }
    }
    Ok(total)
}

/// The end of the frame at `at`, and the size of its content.
fn frame(source: &Source<'_>, at: u64) -> Examined<(u64, Option<u64>)> {
    let [descriptor]: [u8; 1] = source.array(at + 4)?;
    let single_segment = descriptor & 0x20 != 0;
    let window = u64::from(!single_segment);
    let dictionary = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let size_width = match (descriptor >> 6, single_segment) {
        (0, false) => 0,
        (0, true) => 1,
        (flag, _) => 1 << flag,
    };
    let size_at = at + 5 + window + dictionary;
    let field = source.read(size_at, size_width)?;
    let size = match size_width {
        1 => Some(u64::from(field[0])),
        2 => Some(u64::from(le16(&field, 0)) + 256),
        4 => Some(u64::from(le32(&field, 0))),
        8 => Some(le64(&field, 0)),
        _ => None,
    };
    let end = blocks(source, size_at + size_width as u64)?;
    let checksum = if descriptor & 4 != 0 { 4 } else { 0 };
    source.contains(end, checksum)?;
    Ok((end + checksum, size))
}

fn blocks(source: &Source<'_>, mut at: u64) -> Examined<u64> {
    const RLE: u32 = 1;
    const RESERVED: u32 = 3;
    loop {
        let [a, b, c]: [u8; 3] = source.array(at)?;
        let header = u32::from_le_bytes([a, b, c, 0]);
        let size = match header >> 1 & 3 {
            RLE => 1,
            RESERVED => return Err(super::Damage::from(StreamError::Corrupt).into()),
            _ => u64::from(header >> 3),
        };
        source.contains(at + 3, size)?;
        at += 3 + size;
        if header & 1 == 1 {
            return Ok(at);
        }
    }
}
