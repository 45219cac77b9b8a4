//! What a header says, the same for both versions of LUKS.

use std::collections::BTreeMap;

use crate::cipher::CipherSpec;
use crate::hash::Hash;
use crate::kdf::Cost;

/// Number of a key slot: 0 to 7 in LUKS1, 0 to 31 in LUKS2.
pub type SlotNumber = u32;

/// The longest volume key that is accepted, in bytes.
pub(crate) const LONGEST_KEY: usize = 512;

/// Which header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One binary header, eight key slots.
    Luks1,
    /// Two copies, JSON metadata.
    Luks2,
}

/// A header's content, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// Which version.
    pub version: Version,
    /// The container's UUID as text; may be empty.
    pub uuid: String,
    /// Its label; empty without one.
    pub label: String,
    /// Its subsystem label; empty without one.
    pub subsystem: String,
    /// Where the encrypted data is.
    pub segment: Segment,
    /// The key slots that can be opened.
    pub keyslots: BTreeMap<SlotNumber, Keyslot>,
    /// The others, with the reason.
    pub unusable: BTreeMap<SlotNumber, String>,
    /// Proves a volume key.
    pub(crate) digest: Digest,
    /// Bytes from the beginning that belong to the header, its copies and key slots.
    pub(crate) header_length: u64,
}

/// Encrypted data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// First byte of it; 0 when the header lies apart from its data.
    pub offset: u64,
    /// Bytes; None for all up to the end.
    pub size: Option<u64>,
    /// Vector of its first sector, in sectors of 512 bytes.
    pub iv_tweak: u64,
    /// Its cipher.
    pub cipher: CipherSpec,
    /// Bytes that are encrypted as one: 512, 1024, 2048 or 4096.
    pub sector_size: u32,
}

/// A volume key under a passphrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyslot {
    /// What opening it costs.
    pub cost: Cost,
    /// Whether it is tried when no slot is named, and when.
    pub priority: Priority,
    /// Bytes of the volume key.
    pub(crate) key_size: usize,
    pub(crate) stripes: u32,
    pub(crate) af_hash: Hash,
    pub(crate) salt: Vec<u8>,
    pub(crate) area: Area,
    pub(crate) cipher: CipherSpec,
    /// Bytes of the key that encrypts the area.
    pub(crate) area_key_size: usize,
}

/// When a slot is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// Only when named.
    Ignore,
    /// In the order of numbers.
    Normal,
    /// Before the others.
    Prefer,
}

/// A range of bytes of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) offset: u64,
    pub(crate) size: u64,
}

impl Area {
    /// The first byte after it; saturated, which is beyond every limit.
    pub(crate) fn end(self) -> u64 {
        self.offset.saturating_add(self.size)
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.offset < other.end() && other.offset < self.end()
    }
}

/// PBKDF2 of the volume key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Digest {
    pub(crate) hash: Hash,
    pub(crate) iterations: u32,
    pub(crate) salt: Vec<u8>,
    pub(crate) digest: Vec<u8>,
}

impl Keyslot {
    /// Bytes of the split key.
    pub(crate) fn material_length(&self) -> usize {
        self.key_size.saturating_mul(self.stripes as usize)
    }
}

impl Metadata {
    /// Whether the header lies apart from its data.
    #[must_use]
    pub fn is_detached(&self) -> bool {
        self.segment.offset == 0
    }

    /// Bytes of the header with its copies and key slots, as a backup holds them.
    #[must_use]
    pub fn header_length(&self) -> u64 {
        self.header_length
    }

    /// Slots in the order in which they are tried when none is named.
    pub(crate) fn slots_to_try(&self) -> Vec<SlotNumber> {
        let mut slots: Vec<_> = self
            .keyslots
            .iter()
            .filter(|(_, slot)| slot.priority > Priority::Ignore)
            .map(|(&number, slot)| (std::cmp::Reverse(slot.priority), number))
            .collect();
        slots.sort_unstable();
        slots.into_iter().map(|(_, number)| number).collect()
    }
}
