//! GUID partition table: primary header and its entries, and the backup at the end of the disk.
//!
//! Specification: UEFI 2.10, chapter 5.3.

use super::damage::Damage;
use super::source::{Examined, Source, Trouble};
use crate::fields::{le32, le64};

const SIGNATURE: &[u8] = b"EFI PART";
/// Sector sizes that disks have; the table says nothing about it, only its place does.
const SECTOR_SIZES: [u64; 2] = [512, 4096];
const HEADER_MIN: usize = 92;
/// More than any tool writes (128 entries of 128 bytes).
const ENTRIES_MAX_BYTES: u64 = 1 << 20;

/// A primary header.
pub(super) struct Table {
    sector_size: u64,
    header: Vec<u8>,
}

/// The table, where there is one.
pub(super) fn find(source: &Source<'_>) -> Examined<Option<Table>> {
    for sector_size in SECTOR_SIZES {
        if source.has(sector_size, SIGNATURE).map_err(Trouble::Read)? {
            return Ok(Some(Table {
                sector_size,
                header: header_at(source, sector_size, sector_size)?,
            }));
        }
    }
    Ok(None)
}

impl Table {
    /// That both headers are sound and the disk reaches as far as the table says.
    pub(super) fn check(&self, source: &Source<'_>) -> Examined {
        if !is_sound(&self.header) || le64(&self.header, 24) != 1 {
            return Err(Damage::broken("its partition table (GPT) is wrong").into());
        }
        let backup = le64(&self.header, 32);
        let needed = backup
            .checked_add(1)
            .and_then(|sectors| sectors.checked_mul(self.sector_size))
            .ok_or_else(|| Damage::broken("its partition table (GPT) is wrong"))?;
        if needed > source.len() {
            return Err(Damage::cut_short(source.len(), needed, true).into());
        }
        self.check_entries(source)?;
        let copy = header_at(source, needed - self.sector_size, self.sector_size)?;
        if !copy.starts_with(SIGNATURE) || !is_sound(&copy) || le64(&copy, 24) != backup {
            return Err(Damage::new(
                "the backup of its partition table (GPT) is missing at its end",
                "copy it again, or repair it with sgdisk -e",
            )
            .into());
        }
        Ok(())
    }

    fn check_entries(&self, source: &Source<'_>) -> Examined {
        let wrong = || Damage::broken("the entries of its partition table (GPT) are wrong");
        let size = u64::from(le32(&self.header, 80)) * u64::from(le32(&self.header, 84));
        let offset = le64(&self.header, 72)
            .checked_mul(self.sector_size)
            .filter(|_| size <= ENTRIES_MAX_BYTES)
            .ok_or_else(wrong)?;
        let entries = source.read(offset, size as usize)?;
        if crc32fast::hash(&entries) != le32(&self.header, 88) {
            return Err(wrong().into());
        }
        Ok(())
    }
}

fn header_at(source: &Source<'_>, offset: u64, sector_size: u64) -> Examined<Vec<u8>> {
    source.read(offset, sector_size as usize)
}

/// The checksum over the header, with its own field as zeros.
fn is_sound(header: &[u8]) -> bool {
    let size = le32(header, 12) as usize;
    if size < HEADER_MIN || size > header.len() {
        return false;
    }
    let mut copy = header[..size].to_vec();
    copy[16..20].fill(0);
    crc32fast::hash(&copy) == le32(header, 16)
}
