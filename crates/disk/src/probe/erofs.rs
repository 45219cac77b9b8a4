//! EROFS: the superblock, its checksum, and the blocks that it counts.
//!
//! Specification: Linux, `fs/erofs/erofs_fs.h`.

use super::damage::{Damage, shown_name};
use super::source::{Examined, Source};
use super::{Facts, ProbeError};
use crate::crc32c;
use crate::fields::{le16, le32};

const SUPERBLOCK: u64 = 1024;
const MAGIC: u32 = 0xE0F5_E1E2;
const COMPAT_CHECKSUM: u32 = 1;
const INCOMPAT_DEVICE_TABLE: u32 = 8;
const INCOMPAT_48BIT: u32 = 0x80;
const DEVICE_SLOT: u64 = 128;
const DEVICES_SHOWN: u64 = 8;

pub(super) fn recognises(source: &Source<'_>) -> Result<bool, ProbeError> {
    source.has(SUPERBLOCK, &MAGIC.to_le_bytes())
}

pub(super) fn examine(source: &Source<'_>, facts: &mut Facts) -> Examined {
    facts.virtual_size = source.sectors();
    let superblock: [u8; 128] = source.array(SUPERBLOCK)?;
    let block_bits = superblock[12];
    if !(9..=16).contains(&block_bits) {
        return Err(Damage::broken("its superblock (EROFS) is wrong").into());
    }
    if le32(&superblock, 8) & COMPAT_CHECKSUM != 0 {
        check_sum(source, le32(&superblock, 4), 1 << block_bits)?;
    }
    let incompatible = le32(&superblock, 80);
    if incompatible & INCOMPAT_DEVICE_TABLE != 0 {
        facts.refers_to = devices(source, &superblock)?;
    }
    let high = if incompatible & INCOMPAT_48BIT != 0 {
        u64::from(le16(&superblock, 14)) << 32
    } else {
        0
    };
    let size = (u64::from(le32(&superblock, 36)) | high) << block_bits;
    if size > source.len() {
        return Err(Damage::cut_short(source.len(), size, true).into());
    }
    Ok(())
}

/// The checksum goes from the superblock to the end of its block, with its own field as zeros.
fn check_sum(source: &Source<'_>, expected: u32, block_size: u64) -> Examined {
    let size = if block_size > SUPERBLOCK {
        block_size - SUPERBLOCK
    } else {
        block_size
    };
    let mut bytes = source.read(SUPERBLOCK, size as usize)?;
    bytes[4..8].fill(0);
    if crc32c::update(!0, &bytes) != expected {
        return Err(Damage::broken("the checksum of its superblock (EROFS) is wrong").into());
    }
    Ok(())
}

/// Further devices that hold data of it.
fn devices(source: &Source<'_>, superblock: &[u8]) -> Examined<Vec<String>> {
    let count = u64::from(le16(superblock, 86));
    let first = u64::from(le16(superblock, 88)) * DEVICE_SLOT;
    let mut names = Vec::new();
    for index in 0..count.min(DEVICES_SHOWN) {
        let tag: [u8; 64] = source.array(first + index * DEVICE_SLOT)?;
        let end = tag.iter().position(|byte| *byte == 0).unwrap_or(tag.len());
        names.push(match &tag[..end] {
            [] => "an extra device without a name".to_owned(),
            tag => shown_name(tag),
        });
    }
    Ok(names)
}
