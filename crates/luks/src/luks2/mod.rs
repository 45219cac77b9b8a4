//! LUKS2: two copies of a binary header with JSON behind it, then the key slots' area.
//!
//! Specification: *LUKS2 On-Disk Format* 1.1.2.

pub(crate) mod binary;
pub(crate) mod copies;
pub(crate) mod document;
mod json;
mod resolve;

/// Most key slots.
pub(crate) const MOST_SLOTS: u32 = 32;
/// What the area of a key slot is a multiple of.
pub(crate) const AREA_ALIGNMENT: u64 = 4096;
/// Most bytes of all key slots' areas.
pub(crate) const LARGEST_KEYSLOTS_AREA: u64 = 128 << 20;
