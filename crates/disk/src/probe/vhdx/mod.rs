//! VHDX (Hyper-V): two headers, two region tables, metadata, and a block allocation table.
//!
//! Specification: Microsoft, [MS-VHDX].

mod metadata;

use super::damage::Damage;
use super::source::{Examined, Source, Trouble};
use super::{Facts, ProbeError};
use crate::crc32c;
use crate::fields::{le16, le32, le64};
use metadata::Metadata;

const SIGNATURE: &[u8] = b"vhdxfile";
const HEADERS: [u64; 2] = [64 << 10, 128 << 10];
const HEADER: usize = 4 << 10;
const REGION_TABLES: [u64; 2] = [192 << 10, 256 << 10];
const REGION_TABLE: usize = 64 << 10;
const REGIONS_MAX: u32 = 2047;

/// A GUID as it stands on the disk: its first three parts little-endian.
type Guid = [u8; 16];

const BAT: Guid = guid(0x2DC2_7766, 0xF623, 0x4200, 0x9D64_115E_9BFD_4A08);
const METADATA: Guid = guid(0x8B7C_A206, 0x4790, 0x4B9A, 0xB8FE_575F_050F_886E);

const fn guid(a: u32, b: u16, c: u16, rest: u64) -> Guid {
    let (a, b, c, d) = (
        a.to_le_bytes(),
        b.to_le_bytes(),
        c.to_le_bytes(),
        rest.to_be_bytes(),
    );
    [
        a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1], d[0], d[1], d[2], d[3], d[4], d[5], d[6],
        d[7],
    ]
}

pub(super) fn recognises(source: &Source<'_>) -> Result<bool, ProbeError> {
    source.has(0, SIGNATURE)
}

pub(super) fn examine(source: &Source<'_>, facts: &mut Facts) -> Examined {
    let header = current_header(source)?;
    let regions = Regions::read(source)?;
    let metadata = Metadata::read(source, regions.metadata)?;
    facts.virtual_size = Some(metadata.virtual_size);
    if metadata.has_parent {
        facts.refers_to = metadata.parents;
        return Ok(());
    }
    check_log(source, &header)?;
    check_blocks(source, &metadata, regions.bat)
}

/// Of the two headers the sound one with the higher sequence number.
fn current_header(source: &Source<'_>) -> Examined<Vec<u8>> {
    let mut current: Option<Vec<u8>> = None;
    for at in HEADERS {
        let header = source.read(at, HEADER)?;
        let newer = current
            .as_ref()
            .is_none_or(|old| le64(&header, 8) > le64(old, 8));
        if newer && is_sound(&header, b"head") {
            current = Some(header);
        }
    }
    current.ok_or_else(|| Damage::broken("both of its headers (VHDX) are wrong").into())
}

/// The checksum over the whole structure, with its own field as zeros.
fn is_sound(bytes: &[u8], signature: &[u8]) -> bool {
    let mut copy = bytes.to_vec();
    copy[4..8].fill(0);
    bytes.starts_with(signature) && crc32c::checksum(&copy) == le32(bytes, 4)
}

/// Offset and length of the two regions that every disk has.
struct Regions {
    bat: (u64, u64),
    metadata: (u64, u64),
}

impl Regions {
    fn read(source: &Source<'_>) -> Examined<Self> {
        for at in REGION_TABLES {
            let table = source.read(at, REGION_TABLE)?;
            if is_sound(&table, b"regi") {
                return Self::parse(source, &table);
            }
        }
        Err(Damage::broken("both of its region tables (VHDX) are wrong").into())
    }

    fn parse(source: &Source<'_>, table: &[u8]) -> Examined<Self> {
        let wrong = || Damage::broken("its region table (VHDX) is wrong");
        let count = le32(table, 8);
        if count > REGIONS_MAX {
            return Err(wrong().into());
        }
        let (mut bat, mut metadata) = (None, None);
        for entry in table[16..].chunks_exact(32).take(count as usize) {
            let place = (le64(entry, 16), u64::from(le32(entry, 24)));
            source.contains(place.0, place.1)?;
            match &entry[..16] {
                id if id == BAT => bat = Some(place),
                id if id == METADATA => metadata = Some(place),
                _ if le32(entry, 28) & 1 == 1 => {
                    return Err(Damage::broken("it has a region (VHDX) that is not known").into());
                }
                _ => {}
            }
        }
        Ok(Self {
            bat: bat.ok_or_else(wrong)?,
            metadata: metadata.ok_or_else(wrong)?,
        })
    }
}

fn check_log(source: &Source<'_>, header: &[u8]) -> Examined {
    let log = &header[48..64];
    if log.iter().any(|byte| *byte != 0) {
        return Err(Damage::new(
            "it was not closed properly: its log has to be replayed",
            "repair it where it came from: qemu-img check -r all FILE; then copy it again",
        )
        .into());
    }
    if le16(header, 66) != 1 {
        return Err(Damage::broken("its version (VHDX) is not known").into());
    }
    source.contains(le64(header, 72), u64::from(le32(header, 68)))
}

/// That every block that is present lies in the file.
fn check_blocks(source: &Source<'_>, metadata: &Metadata, bat: (u64, u64)) -> Examined {
    const FULLY_PRESENT: u64 = 6;
    const STATE: u64 = 7;
    const OFFSET: u64 = !((1 << 20) - 1);
    let blocks = metadata.virtual_size.div_ceil(metadata.block_size);
    let ratio = metadata.blocks_per_bitmap();
    let entries = blocks + blocks.saturating_sub(1) / ratio;
    if entries.saturating_mul(8) > bat.1 {
        return Err(Damage::broken("its block table (VHDX) is shorter than the disk").into());
    }
    let mut farthest = 0;
    source.table(bat.0, entries, 8, |index, entry| {
        let entry = le64(entry, 0);
        let is_bitmap = index % (ratio + 1) == ratio;
        if !is_bitmap && entry & STATE == FULLY_PRESENT {
            farthest = farthest.max((entry & OFFSET).saturating_add(metadata.block_size));
        }
        Ok(())
    })?;
    if farthest > source.len() {
        return Err(Trouble::Short { needed: farthest });
    }
    Ok(())
}
