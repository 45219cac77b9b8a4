//! The binary header: 4096 bytes in front of each copy's JSON.
//!
//! Specification: *LUKS2 On-Disk Format* 1.1.2, 2.1. Numbers are big-endian.

use crate::hash::Hash;
use crate::secret::fill_random;

/// Bytes of the binary header.
pub(crate) const LENGTH: usize = 4096;

/// Sizes that a copy (binary header and JSON) may have. The second copy lies behind the first, so
/// these are also the places to look for it.
pub(crate) const SIZES: [u64; 9] = [
    16 << 10,
    32 << 10,
    64 << 10,
    128 << 10,
    256 << 10,
    512 << 10,
    1 << 20,
    2 << 20,
    4 << 20,
];

const CHECKSUM: std::ops::Range<usize> = 448..512;

/// Which copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Primary,
    Secondary,
}

impl Place {
    pub(crate) fn magic(self) -> [u8; 6] {
        match self {
            Self::Primary => *b"LUKS\xba\xbe",
            Self::Secondary => *b"SKUL\xba\xbe",
        }
    }

    /// Where this copy begins, when copies have `size` bytes.
    pub(crate) fn offset(self, size: u64) -> u64 {
        match self {
            Self::Primary => 0,
            Self::Secondary => size,
        }
    }
}

/// What the binary header says that is the same in both copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BinaryHeader {
    /// Bytes of a copy.
    pub(crate) size: u64,
    /// Counts updates; the higher copy is the newer.
    pub(crate) sequence: u64,
    pub(crate) label: String,
    pub(crate) uuid: String,
    pub(crate) subsystem: String,
}

impl BinaryHeader {
    /// Reads the fields from the first [`LENGTH`] bytes of a copy, without magic and checksum. The
    /// error says what is wrong.
    pub(crate) fn parse(block: &[u8; LENGTH], place: Place) -> Result<Self, String> {
        let version = u16::from_be_bytes([block[6], block[7]]);
        if version != 2 {
            return Err(format!("version {version}"));
        }
        let size = number(block, 8);
        if !SIZES.contains(&size) {
            return Err(format!("{size} is not a size of LUKS2 headers"));
        }
        let offset = number(block, 256);
        if offset != place.offset(size) {
            return Err(format!("it says that it lies at byte {offset}"));
        }
        Ok(Self {
            size,
            sequence: number(block, 16),
            label: text(block, 24, 48)?,
            uuid: text(block, 168, 40)?,
            subsystem: text(block, 208, 48)?,
        })
    }

    /// A copy of the header: these fields, then `json`, then zeros, with checksum. None when the JSON
    /// does not fit.
    pub(crate) fn encode(&self, place: Place, json: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
        let size = usize::try_from(self.size).unwrap_or_default();
        // At least one zero ends the JSON.
        if json.len() + LENGTH >= size {
            return Ok(None);
        }
        let mut copy = vec![0; size];
        copy[..6].copy_from_slice(&place.magic());
        copy[6..8].copy_from_slice(&2_u16.to_be_bytes());
        copy[8..16].copy_from_slice(&self.size.to_be_bytes());
        copy[16..24].copy_from_slice(&self.sequence.to_be_bytes());
        put_text(&mut copy[24..72], &self.label);
        put_text(&mut copy[72..104], "sha256");
        fill_random(&mut copy[104..168])?;
        put_text(&mut copy[168..208], &self.uuid);
        put_text(&mut copy[208..256], &self.subsystem);
        copy[256..264].copy_from_slice(&place.offset(self.size).to_be_bytes());
        copy[LENGTH..LENGTH + json.len()].copy_from_slice(json);
        let checksum = checksum(Hash::Sha256, &copy);
        copy[CHECKSUM].copy_from_slice(&checksum);
        Ok(Some(copy))
    }
}

/// Whether the checksum of a whole copy is right. The error says what is wrong.
pub(crate) fn check(copy: &[u8]) -> Result<(), String> {
    let name = text(copy, 72, 32)?;
    let hash: Hash = name
        .parse()
        .map_err(|_| format!("its checksum is \"{name}\", which is not known"))?;
    if copy[CHECKSUM][..hash.length()] == checksum(hash, copy)[..hash.length()] {
        Ok(())
    } else {
        Err("its checksum is wrong".to_owned())
    }
}

fn checksum(hash: Hash, copy: &[u8]) -> [u8; 64] {
    let mut output = [0; 64];
    let parts = [&copy[..CHECKSUM.start], &[0; 64], &copy[CHECKSUM.end..]];
    hash.digest(&parts, &mut output);
    output
}

fn number(block: &[u8], place: usize) -> u64 {
    let mut field = [0; 8];
    field.copy_from_slice(&block[place..place + 8]);
    u64::from_be_bytes(field)
}

fn text(block: &[u8], place: usize, length: usize) -> Result<String, String> {
    let field = &block[place..place + length];
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(length);
    String::from_utf8(field[..end].to_vec())
        .ok()
        .filter(|text| !text.chars().any(char::is_control))
        .ok_or_else(|| format!("the text at byte {place} is not printable"))
}

/// Leaves at least one zero behind it.
fn put_text(field: &mut [u8], text: &str) {
    let count = text.len().min(field.len() - 1);
    field[..count].copy_from_slice(&text.as_bytes()[..count]);
}
