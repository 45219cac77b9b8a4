//! VMDK (VMware): sparse files with a grain directory, stream-optimised ones with compressed grains and
//! a footer, and descriptors (text) that name other files.
//!
//! Specification: VMware, "Virtual Disk Format 5.0"; QEMU's `block/vmdk.c` for what it accepts.

mod descriptor;

use super::damage::Damage;
use super::source::{Examined, Source, Trouble};
use super::{Facts, ProbeError};
use crate::fields::{le16, le32, le64};
use descriptor::Descriptor;

const MAGIC: &[u8] = b"KDMV";
const ESX_MAGIC: &[u8] = b"COWD";
const SECTOR: u64 = 512;
/// The grain directory is named by the footer instead of the header.
const AT_END: u64 = u64::MAX;
const FLAG_REDUNDANT: u32 = 1 << 1;
const FLAG_COMPRESSED: u32 = 1 << 16;
const DESCRIPTOR_MAX: u64 = 64 << 10;

pub(super) fn recognises(source: &Source<'_>) -> Result<bool, ProbeError> {
    Ok(source.has(0, MAGIC)? || source.has(0, ESX_MAGIC)? || Descriptor::starts(source)?)
}

pub(super) fn examine(source: &Source<'_>, facts: &mut Facts) -> Examined {
    if source.has(0, MAGIC).map_err(Trouble::Read)? {
        return sparse(source, facts);
    }
    if source.has(0, ESX_MAGIC).map_err(Trouble::Read)? {
        return Err(Damage::new(
            "it is a part of an ESX disk",
            "convert the whole disk where it is: qemu-img convert -O qcow2 OLD NEW",
        )
        .into());
    }
    let size = source
        .known_len()
        .unwrap_or(DESCRIPTOR_MAX)
        .min(DESCRIPTOR_MAX);
    let descriptor = Descriptor::parse(&source.read(0, size as usize)?);
    names_extents(&descriptor, facts)
}

/// A descriptor without the disk beside it.
fn names_extents(descriptor: &Descriptor, facts: &mut Facts) -> Examined {
    facts.virtual_size = descriptor.sectors.checked_mul(SECTOR);
    facts.refers_to.clone_from(&descriptor.extents);
    facts.refers_to.extend(descriptor.parent.clone());
    if facts.refers_to.is_empty() {
        return Err(Damage::broken("its descriptor (VMDK) names no extent").into());
    }
    Ok(())
}

struct Header {
    flags: u32,
    capacity: u64,
    grain: u64,
    descriptor: (u64, u64),
    table_entries: u64,
    redundant_directory: u64,
    directory: u64,
    overhead: u64,
}

impl Header {
    fn read(source: &Source<'_>, at: u64) -> Examined<Self> {
        let bytes: [u8; 512] = source.array(at)?;
        let header = Self {
            flags: le32(&bytes, 8),
            capacity: le64(&bytes, 12),
            grain: le64(&bytes, 20),
            descriptor: (le64(&bytes, 28), le64(&bytes, 36)),
            table_entries: u64::from(le32(&bytes, 44)),
            redundant_directory: le64(&bytes, 48),
            directory: le64(&bytes, 56),
            overhead: le64(&bytes, 64),
        };
        let sound = bytes.starts_with(MAGIC)
            && (1..=3).contains(&le32(&bytes, 4))
            && header.capacity <= u64::MAX / SECTOR / 2
            && (1..=4096).contains(&header.grain)
            && header.grain.is_power_of_two()
            && (1..=512).contains(&header.table_entries)
            && le16(&bytes, 77) <= 1;
        if !sound {
            return Err(Damage::broken("its header (VMDK) is wrong").into());
        }
        Ok(header)
    }

    fn directory_entries(&self) -> u64 {
        self.capacity.div_ceil(self.grain * self.table_entries)
    }

    fn compressed(&self) -> bool {
        self.flags & FLAG_COMPRESSED != 0
    }
}

fn sparse(source: &Source<'_>, facts: &mut Facts) -> Examined {
    let mut header = Header::read(source, 0)?;
    facts.virtual_size = Some(header.capacity * SECTOR);
    if header.descriptor.0 != 0 {
        let descriptor = embedded(source, &header)?;
        // QEMU takes such a file for a descriptor and opens what it names.
        if header.capacity == 0 {
            return names_extents(&descriptor, facts);
        }
        if descriptor.extents.len() > 1 {
            facts.refers_to = descriptor.extents;
        }
        facts.refers_to.extend(descriptor.parent);
    }
    if header.directory == AT_END {
        header = footer(source)?;
    }
    check_grains(source, &header)
}

fn embedded(source: &Source<'_>, header: &Header) -> Examined<Descriptor> {
    let (at, size) = header.descriptor;
    let at = in_bytes(at)?;
    let size = in_bytes(size)?.min(DESCRIPTOR_MAX);
    Ok(Descriptor::parse(&source.read(at, size as usize)?))
}

/// The last three sectors of a stream-optimised disk: footer marker, footer, end-of-stream marker.
fn footer(source: &Source<'_>) -> Examined<Header> {
    const MARKER_FOOTER: u32 = 3;
    let Some(length) = source.known_len() else {
        return Err(Trouble::Unseen);
    };
    let missing = || Damage::broken("cut short: its end marker (VMDK) is missing");
    let at = length.checked_sub(3 * SECTOR).ok_or_else(missing)?;
    let end: [u8; 1536] = source.array(at)?;
    let ends = le32(&end, 12) == MARKER_FOOTER
        && end[512..].starts_with(MAGIC)
        && end[1024..1040].iter().all(|byte| *byte == 0);
    if !ends {
        return Err(missing().into());
    }
    let footer = Header::read(source, at + SECTOR)?;
    if footer.directory == AT_END {
        return Err(Damage::broken("its footer (VMDK) is wrong").into());
    }
    Ok(footer)
}

fn check_grains(source: &Source<'_>, header: &Header) -> Examined {
    source.contains(0, in_bytes(header.overhead)?)?;
    let mut end = grains_end(source, header, header.directory)?;
    if header.flags & FLAG_REDUNDANT != 0 {
        end = end.max(grains_end(source, header, header.redundant_directory)?);
    }
    source.contains(0, end)
}

/// The farthest byte that any grain reaches.
fn grains_end(source: &Source<'_>, header: &Header, directory: u64) -> Examined<u64> {
    let (mut end, mut last_compressed) = (0, None);
    source.table(
        in_bytes(directory)?,
        header.directory_entries(),
        4,
        |index, entry| {
            let table = u64::from(le32(entry, 0));
            if table == 0 {
                return Ok(());
            }
            let first = index * header.table_entries;
            source.table(table * SECTOR, header.table_entries, 4, |index, entry| {
                let grain = u64::from(le32(entry, 0));
                // 0: not there; 1: zeros.
                if grain <= 1 {
                    return Ok(());
                }
                if header.compressed() {
                    last_compressed = last_compressed.max(Some(grain * SECTOR));
                } else {
                    let used = header
                        .capacity
                        .saturating_sub((first + index) * header.grain);
                    end = end.max((grain + used.min(header.grain)) * SECTOR);
                }
                Ok(())
            })
        },
    )?;
    match last_compressed {
        // A marker: the grain's first sector (8 bytes) and how many compressed bytes follow (4).
        Some(at) => {
            let marker: [u8; 12] = source.array(at)?;
            Ok(at + 12 + u64::from(le32(&marker, 8)))
        }
        None => Ok(end),
    }
}

fn in_bytes(sectors: u64) -> Examined<u64> {
    sectors
        .checked_mul(SECTOR)
        .ok_or(Trouble::Short { needed: u64::MAX })
}
