//! VHD (Virtual PC): a footer at the end; for dynamic and differencing disks a copy of it at the start,
//! a header and a block allocation table.
//!
//! Specification: Microsoft, "Virtual Hard Disk Image Format Specification", 1.0.

use super::damage::{Damage, shown_name};
use super::source::{Examined, Source};
use super::{Facts, ProbeError};
use crate::fields::{be16, be32, be64};

const COOKIE: &[u8] = b"conectix";
const FOOTER: u64 = 512;
const SECTOR: u64 = 512;
const UNUSED: u32 = u32::MAX;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Fixed,
    Dynamic,
    Differencing,
}

pub(super) fn recognises(source: &Source<'_>) -> Result<bool, ProbeError> {
    if source.has(0, COOKIE)? {
        return Ok(true);
    }
    match source
        .known_len()
        .and_then(|length| length.checked_sub(FOOTER))
    {
        Some(end) => source.has(end, COOKIE),
        None => Ok(false),
    }
}

pub(super) fn examine(source: &Source<'_>, facts: &mut Facts) -> Examined {
    let at_start = source.has(0, COOKIE).map_err(super::Trouble::Read)?;
    let at = if at_start {
        0
    } else {
        source.len().saturating_sub(FOOTER)
    };
    let footer: [u8; 512] = source.array(at)?;
    let kind = match be32(&footer, 60) {
        2 => Kind::Fixed,
        3 => Kind::Dynamic,
        4 => Kind::Differencing,
        _ => return Err(Damage::broken("its footer (VHD) is wrong").into()),
    };
    facts.virtual_size = Some(virtual_size(&footer));
    if !is_sound(&footer, 64) {
        return Err(Damage::broken("the checksum of its footer (VHD) is wrong").into());
    }
    if kind == Kind::Fixed {
        return check_fixed(source, &footer);
    }
    if !at_start {
        return Err(Damage::broken("its beginning (VHD) is missing").into());
    }
    check_dynamic(source, &footer, kind, facts)
}

/// What QEMU shows the guest: the size from the geometry for the programs that meant that (Virtual PC,
/// QEMU by default), else the size field.
fn virtual_size(footer: &[u8]) -> u64 {
    const BY_SIZE: [&[u8]; 5] = [b"win ", b"qem2", b"d2v ", b"tap\0", b"CTXS"];
    const LARGEST_GEOMETRY: u64 = 65535 * 16 * 255;
    let sectors = u64::from(be16(footer, 56)) * u64::from(footer[58]) * u64::from(footer[59]);
    let creator = &footer[28..32];
    if sectors == LARGEST_GEOMETRY || BY_SIZE.contains(&creator) {
        be64(footer, 48) / SECTOR * SECTOR
    } else {
        sectors * SECTOR
    }
}

/// The complement of the sum of all bytes, with its own field as zeros.
fn is_sound(bytes: &[u8], checksum_at: usize) -> bool {
    let sum = bytes
        .iter()
        .enumerate()
        .filter(|(index, _)| !(checksum_at..checksum_at + 4).contains(index))
        .fold(0u32, |sum, (_, byte)| sum.wrapping_add(u32::from(*byte)));
    !sum == be32(bytes, checksum_at)
}

fn check_fixed(source: &Source<'_>, footer: &[u8]) -> Examined {
    let needed = be64(footer, 48).saturating_add(FOOTER);
    if needed > source.len() {
        return Err(Damage::cut_short(source.len(), needed, true).into());
    }
    Ok(())
}

fn check_dynamic(source: &Source<'_>, footer: &[u8], kind: Kind, facts: &mut Facts) -> Examined {
    let header: [u8; 1024] = source.array(be64(footer, 16))?;
    if !header.starts_with(b"cxsparse") || !is_sound(&header, 36) {
        return Err(Damage::broken("its header (VHD) is wrong").into());
    }
    if kind == Kind::Differencing {
        facts.refers_to.push(parent(&header));
        return Ok(());
    }
    let (table, entries) = (be64(&header, 16), u64::from(be32(&header, 28)));
    let block_size = u64::from(be32(&header, 32));
    if !block_size.is_power_of_two() || block_size < SECTOR {
        return Err(Damage::broken("its header (VHD) is wrong").into());
    }
    if entries.saturating_mul(block_size) < facts.virtual_size.unwrap_or(0) {
        return Err(Damage::broken("its table (VHD) is shorter than the disk").into());
    }
    let bitmap = (block_size / SECTOR / 8).next_multiple_of(SECTOR);
    let mut farthest = 0;
    source.table(table, entries, 4, |_, entry| {
        let sector = be32(entry, 0);
        if sector != UNUSED {
            farthest = farthest.max(u64::from(sector) * SECTOR + bitmap + block_size);
        }
        Ok(())
    })?;
    source.contains(farthest, FOOTER)?;
    check_footer_at_end(source, footer)
}

fn check_footer_at_end(source: &Source<'_>, footer: &[u8]) -> Examined {
    let Some(end) = source
        .known_len()
        .and_then(|length| length.checked_sub(FOOTER))
    else {
        return Ok(());
    };
    if source.read(end, FOOTER as usize)? != footer {
        return Err(Damage::broken("cut short: its footer (VHD) is missing at the end").into());
    }
    Ok(())
}

fn parent(header: &[u8]) -> String {
    let units: Vec<u16> = header[64..576]
        .chunks_exact(2)
        .map(|pair| be16(pair, 0))
        .take_while(|unit| *unit != 0)
        .collect();
    match units.as_slice() {
        [] => "a parent without a name".to_owned(),
        units => shown_name(String::from_utf16_lossy(units).as_bytes()),
    }
}
