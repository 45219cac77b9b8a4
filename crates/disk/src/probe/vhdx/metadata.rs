//! The metadata region of a VHDX: sizes, and the names of a parent.

use super::super::damage::{Damage, shown_name};
use super::super::source::{Examined, Source};
use super::{Guid, guid};
use crate::fields::{le16, le32, le64};

const TABLE: usize = 64 << 10;
const ENTRIES_MAX: u16 = 2047;
/// The largest item: a parent locator with paths.
const ITEM_MAX: u32 = 1 << 20;
const VALUES_MAX: usize = 16;

const FILE_PARAMETERS: Guid = guid(0xCAA1_6737, 0xFA36, 0x4D43, 0xB3B6_33F0_AA44_E76B);
const VIRTUAL_SIZE: Guid = guid(0x2FA5_4224, 0xCD1B, 0x4876, 0xB211_5DBE_D83B_F4B8);
const SECTOR_SIZE: Guid = guid(0x8141_BF1D, 0xA96F, 0x4709, 0xBA47_F233_A8FA_AB5F);
const PARENT_LOCATOR: Guid = guid(0xA8D3_5F2D, 0xB30B, 0x454D, 0xABF7_D3D8_4834_AB0C);

/// What the metadata says.
pub(super) struct Metadata {
    pub(super) virtual_size: u64,
    pub(super) block_size: u64,
    sector_size: u64,
    pub(super) has_parent: bool,
    /// Names of the parent, where it has one.
    pub(super) parents: Vec<String>,
}

impl Metadata {
    pub(super) fn read(source: &Source<'_>, region: (u64, u64)) -> Examined<Self> {
        let table = source.read(region.0, TABLE)?;
        let count = le16(&table, 10);
        if !table.starts_with(b"metadata") || count > ENTRIES_MAX {
            return Err(wrong().into());
        }
        let mut metadata = Self {
            virtual_size: 0,
            block_size: 0,
            sector_size: 0,
            has_parent: false,
            parents: Vec::new(),
        };
        for entry in table[32..].chunks_exact(32).take(usize::from(count)) {
            metadata.take(source, region, entry)?;
        }
        metadata.check()?;
        Ok(metadata)
    }

    /// Blocks whose sectors one bitmap block counts.
    pub(super) fn blocks_per_bitmap(&self) -> u64 {
        ((1 << 23) * self.sector_size / self.block_size).max(1)
    }

    fn take(&mut self, source: &Source<'_>, region: (u64, u64), entry: &[u8]) -> Examined {
        let (offset, length) = (u64::from(le32(entry, 16)), le32(entry, 20));
        let id = &entry[..16];
        let known = [FILE_PARAMETERS, VIRTUAL_SIZE, SECTOR_SIZE, PARENT_LOCATOR];
        if !known.iter().any(|known| known == id) {
            return Ok(());
        }
        if length > ITEM_MAX || offset + u64::from(length) > region.1 {
            return Err(wrong().into());
        }
        let item = source.read(region.0.saturating_add(offset), length as usize)?;
        if id == FILE_PARAMETERS {
            self.block_size = u64::from(le32(&item, 0));
            self.has_parent = le32(&item, 4) & 2 != 0;
        } else if id == VIRTUAL_SIZE {
            self.virtual_size = le64(&item, 0);
        } else if id == SECTOR_SIZE {
            self.sector_size = u64::from(le32(&item, 0));
        } else {
            self.parents = parents(&item);
        }
        Ok(())
    }

    fn check(&mut self) -> Examined {
        const LARGEST_DISK: u64 = 64 << 40;
        let blocks = (1 << 20)..=(256 << 20);
        let sound = blocks.contains(&self.block_size)
            && self.block_size.is_power_of_two()
            && matches!(self.sector_size, 512 | 4096)
            && self.virtual_size <= LARGEST_DISK;
        if !sound {
            return Err(wrong().into());
        }
        if self.has_parent && self.parents.is_empty() {
            self.parents.push("a parent without a name".to_owned());
        }
        Ok(())
    }
}

fn wrong() -> Damage {
    Damage::broken("its metadata (VHDX) is wrong")
}

/// Keys and values in UTF-16; those that are paths.
fn parents(locator: &[u8]) -> Vec<String> {
    let count = usize::from(le16(locator, 18)).min(VALUES_MAX);
    let entries = locator.get(20..).unwrap_or_default();
    let text = |offset: u32, length: u16| -> String {
        let start = offset as usize;
        let bytes = locator.get(start..start.saturating_add(usize::from(length)));
        let units: Vec<u16> = bytes
            .unwrap_or_default()
            .chunks_exact(2)
            .map(|pair| le16(pair, 0))
            .collect();
        String::from_utf16_lossy(&units)
    };
    entries
        .chunks_exact(12)
        .take(count)
        .filter(|entry| text(le32(entry, 0), le16(entry, 8)).ends_with("_path"))
        .map(|entry| shown_name(text(le32(entry, 4), le16(entry, 10)).as_bytes()))
        .collect()
}
