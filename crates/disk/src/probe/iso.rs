//! ISO 9660 discs (ECMA-119), UDF discs (ECMA-167), and both at once. A disc that is also bootable
//! from a USB stick (with an MBR or GPT in its first sectors) is a disc.

use super::source::{Examined, Source, Trouble};
use super::{Facts, ProbeError, raw};
use crate::fields::{le16, le32};

const SECTOR: u64 = 2048;
/// The first descriptor of a volume.
const FIRST: u64 = 16;
/// More descriptors than any disc has.
const MOST: u64 = 64;

pub(super) fn recognises(source: &Source<'_>) -> Result<bool, ProbeError> {
    let identifier = FIRST * SECTOR + 1;
    Ok(source.has(identifier, b"CD001")? || source.has(identifier, b"BEA01")?)
}

pub(super) fn examine(source: &Source<'_>, facts: &mut Facts) -> Examined {
    facts.virtual_size = source.sectors();
    facts.partitions = Some(raw::partitions_of_disc(source)?);
    let mut udf = false;
    for index in FIRST..FIRST + MOST {
        let head: [u8; 132] = match source.array(index * SECTOR) {
            Err(Trouble::Short { .. }) if index > FIRST => break,
            head => head?,
        };
        match &head[1..6] {
            b"CD001" if head[0] == 1 => volume_inside(source, &head)?,
            b"CD001" | b"BEA01" | b"TEA01" | b"BOOT2" => {}
            b"NSR02" | b"NSR03" => udf = true,
            _ => break,
        }
    }
    if udf { udf_inside(source) } else { Ok(()) }
}

/// The primary volume descriptor says how many blocks the disc has.
fn volume_inside(source: &Source<'_>, descriptor: &[u8]) -> Examined {
    let blocks = u64::from(le32(descriptor, 80));
    let block_size = u64::from(le16(descriptor, 128));
    exactly(source, blocks * block_size)
}

/// The partition descriptor says where the file system lies.
fn udf_inside(source: &Source<'_>) -> Examined {
    const ANCHOR: u64 = 256;
    const TAG_ANCHOR: u16 = 2;
    const TAG_PARTITION: u16 = 5;
    const TAG_TERMINATOR: u16 = 8;
    let anchor: [u8; 32] = source.array(ANCHOR * SECTOR)?;
    if le16(&anchor, 0) != TAG_ANCHOR {
        return Ok(());
    }
    let first = u64::from(le32(&anchor, 20));
    let count = (u64::from(le32(&anchor, 16)) / SECTOR).min(MOST);
    for index in first..first + count {
        let descriptor: [u8; 200] = source.array(index * SECTOR)?;
        match le16(&descriptor, 0) {
            TAG_PARTITION => {
                let start = u64::from(le32(&descriptor, 188));
                let length = u64::from(le32(&descriptor, 192));
                source.contains(start * SECTOR, length * SECTOR)?;
            }
            TAG_TERMINATOR => break,
            _ => {}
        }
    }
    Ok(())
}

fn exactly(source: &Source<'_>, size: u64) -> Examined {
    if size > source.len() {
        return Err(super::Damage::cut_short(source.len(), size, true).into());
    }
    Ok(())
}
