//! Master boot record: four entries in the first sector. The first sector of a FAT or NTFS file system
//! carries the same signature; it is told apart by entries that no partitioning tool would write.

use super::damage::Damage;
use super::source::{Examined, Source, Trouble};
use crate::fields::le32;

const SECTOR: u64 = 512;
const GPT_PROTECTIVE: u8 = 0xEE;

/// A table with at least one entry.
pub(super) struct Table {
    entries: Vec<Entry>,
}

struct Entry {
    kind: u8,
    first: u64,
    count: u64,
}

/// The table, where there is one.
pub(super) fn find(source: &Source<'_>) -> Examined<Option<Table>> {
    let sector: [u8; 512] = match source.array(0) {
        Err(Trouble::Short { .. }) => return Ok(None),
        sector => sector?,
    };
    if !sector.ends_with(&[0x55, 0xAA]) {
        return Ok(None);
    }
    let mut entries = Vec::new();
    for entry in sector[446..510].chunks_exact(16) {
        let (status, kind) = (entry[0], entry[4]);
        let (first, count) = (u64::from(le32(entry, 8)), u64::from(le32(entry, 12)));
        if status & 0x7f != 0 {
            return Ok(None);
        }
        if kind != 0 && count != 0 {
            if first == 0 {
                return Ok(None);
            }
            entries.push(Entry { kind, first, count });
        }
    }
    Ok((!entries.is_empty()).then_some(Table { entries }))
}

impl Table {
    /// That every partition lies on the disk.
    pub(super) fn check(&self, source: &Source<'_>) -> Examined {
        if self
            .entries
            .iter()
            .any(|entry| entry.kind == GPT_PROTECTIVE)
        {
            return Err(Damage::broken("its partition table (GPT) is missing").into());
        }
        let end = self
            .entries
            .iter()
            .map(|entry| (entry.first + entry.count) * SECTOR)
            .max();
        match end {
            Some(end) if end > source.len() => {
                Err(Damage::cut_short(source.len(), end, false).into())
            }
            _ => Ok(()),
        }
    }
}
