//! lz4 in the legacy frame, the only one that Linux unpacks: blocks, each with its size before it.
//!
//! Specification: lz4's `doc/lz4_Frame_format.md`, "Legacy frame".

use super::ProbeError;
use super::damage::Damage;
use super::source::{Examined, Source, Trouble};
use crate::fields::le32;

const MAGIC: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];
/// The largest that 8 MiB can become.
const BLOCK_MAX: u64 = (8 << 20) + (8 << 20) / 255 + 16;

/// Whether a frame begins at `at`.
pub(super) fn starts_at(source: &Source<'_>, at: u64) -> Result<bool, ProbeError> {
    source.has(at, &MAGIC)
}

/// Whether the file is a frame whose content begins as asked. A block begins with literals, and what
/// is looked for is too short to contain a repetition.
pub(super) fn holds(
    source: &Source<'_>,
    begins: impl Fn(&[u8]) -> bool,
) -> Result<bool, ProbeError> {
    if !starts_at(source, 0)? {
        return Ok(false);
    }
    let head: [u8; 32] = match source.array(0) {
        Ok(head) => head,
        Err(Trouble::Read(error)) => return Err(error),
        Err(_) => return Ok(false),
    };
    let token_at = 8;
    let literals = if head[token_at] >> 4 == 15 {
        let more = head[token_at + 1..]
            .iter()
            .take_while(|byte| **byte == 255)
            .count();
        head.get(token_at + 2 + more..)
    } else {
        let count = usize::from(head[token_at] >> 4);
        head.get(token_at + 1..token_at + 1 + count)
    };
    Ok(literals.is_some_and(begins))
}

/// That the frames at `at` end where the file ends.
pub(super) fn check(source: &Source<'_>, mut at: u64) -> Examined {
    at += MAGIC.len() as u64;
    while at < source.len() {
        let size: [u8; 4] = source.array(at)?;
        at += 4;
        if size == MAGIC {
            continue;
        }
        let size = u64::from(le32(&size, 0));
        // Linux takes a zero for the end; padding may follow.
        if size == 0 {
            return Ok(());
        }
        if size > BLOCK_MAX {
            return Err(Damage::broken("its compressed stream (lz4) is wrong").into());
        }
        source.contains(at, size)?;
        at += size;
    }
    Ok(())
}
