//! The header of LUKS1, read only.
//!
//! Specification: *LUKS1 On-Disk Format* 1.2.3, figure 1. Numbers are big-endian, places are counted
//! in sectors of 512 bytes.

use std::collections::BTreeMap;

use crate::cipher::CipherSpec;
use crate::error::Error;
use crate::hash::Hash;
use crate::kdf::Cost;
use crate::metadata::{Area, Digest, Keyslot, LONGEST_KEY, Metadata, Priority, Segment, Version};

/// Bytes of the header without key material.
pub(crate) const LENGTH: usize = 592;

const SECTOR: u64 = 512;
const SLOTS: usize = 8;
const SLOT_ENABLED: u32 = 0x00AC_71F3;
const SLOT_DISABLED: u32 = 0x0000_DEAD;
/// Most stripes that are accepted; every writer uses 4000.
const MOST_STRIPES: u32 = 16_000;

/// Where the last key slot ends at most: far more than eight slots of the longest key take.
const LONGEST_HEADER: u64 = 128 << 20;

/// Reads the header from its first bytes.
pub(crate) fn parse(bytes: &[u8; LENGTH]) -> Result<Metadata, Error> {
    let name = format!("{}-{}", text(bytes, 8, 32)?, text(bytes, 40, 32)?);
    let hash = parse_hash(&text(bytes, 72, 32)?)?;
    let key_size = number(bytes, 108) as usize;
    if key_size == 0 || key_size > LONGEST_KEY {
        return Err(broken(format!("its volume key has {key_size} bytes")));
    }
    let cipher = parse_cipher(&name, key_size)?;
    let offset = u64::from(number(bytes, 104)) * SECTOR;
    let common = Common {
        hash,
        key_size,
        cipher,
    };
    let keyslots = parse_slots(bytes, &common, offset)?;
    Ok(Metadata {
        version: Version::Luks1,
        uuid: text(bytes, 168, 40)?,
        label: String::new(),
        subsystem: String::new(),
        segment: Segment {
            offset,
            size: None,
            iv_tweak: 0,
            cipher,
            sector_size: 512,
        },
        keyslots,
        unusable: BTreeMap::new(),
        digest: Digest {
            hash,
            iterations: nonzero(number(bytes, 164), "iterations of its key digest")?,
            salt: bytes[132..164].to_vec(),
            digest: bytes[112..132].to_vec(),
        },
        header_length: header_length(bytes, key_size)?,
    })
}

struct Common {
    hash: Hash,
    key_size: usize,
    cipher: CipherSpec,
}

fn parse_slots(
    bytes: &[u8; LENGTH],
    common: &Common,
    data: u64,
) -> Result<BTreeMap<u32, Keyslot>, Error> {
    let mut slots = BTreeMap::new();
    for index in 0..SLOTS {
        let place = slot_place(index);
        match number(bytes, place) {
            SLOT_DISABLED => {}
            SLOT_ENABLED => {
                let slot = parse_slot(bytes, place, common)?;
                let after = slot.area.end();
                if slot.area.offset < LENGTH as u64 || (data != 0 && after > data) {
                    return Err(broken(format!(
                        "key slot {index} lies at {} to {after}, outside the header",
                        slot.area.offset
                    )));
                }
                slots.insert(index as u32, slot);
            }
            other => {
                return Err(broken(format!(
                    "key slot {index} is neither on nor off ({other:#x})"
                )));
            }
        }
    }
    Ok(slots)
}

fn parse_slot(bytes: &[u8; LENGTH], place: usize, common: &Common) -> Result<Keyslot, Error> {
    let iterations = nonzero(number(bytes, place + 4), "iterations of a key slot")?;
    let stripes = nonzero(number(bytes, place + 44), "stripes of a key slot")?;
    if stripes > MOST_STRIPES {
        return Err(broken(format!("a key slot has {stripes} stripes")));
    }
    Ok(Keyslot {
        cost: Cost::Pbkdf2 {
            hash: common.hash,
            iterations,
        },
        priority: Priority::Normal,
        key_size: common.key_size,
        stripes,
        af_hash: common.hash,
        salt: bytes[place + 8..place + 40].to_vec(),
        area: Area {
            offset: u64::from(number(bytes, place + 40)) * SECTOR,
            size: material_sectors(common.key_size, stripes) * SECTOR,
        },
        cipher: common.cipher,
        area_key_size: common.key_size,
    })
}

/// The end of the last slot's key material, used or not, in whole pages of memory, as a backup by
/// `cryptsetup` has it.
fn header_length(bytes: &[u8; LENGTH], key_size: usize) -> Result<u64, Error> {
    let end_of = |index| {
        let place = slot_place(index);
        let stripes = number(bytes, place + 44).min(MOST_STRIPES);
        u64::from(number(bytes, place + 40)) + material_sectors(key_size, stripes)
    };
    let end = (0..SLOTS).map(end_of).max().unwrap_or_default() * SECTOR;
    if end > LONGEST_HEADER {
        return Err(broken(format!("its key slots end at byte {end}")));
    }
    Ok(end.next_multiple_of(rustix::param::page_size() as u64))
}

fn material_sectors(key_size: usize, stripes: u32) -> u64 {
    (key_size as u64 * u64::from(stripes)).div_ceil(SECTOR)
}

fn slot_place(index: usize) -> usize {
    208 + 48 * index
}

fn parse_hash(name: &str) -> Result<Hash, Error> {
    name.to_ascii_lowercase()
        .parse()
        .map_err(|_| Error::Unsupported(format!("it uses the hash \"{name}\", which is not known")))
}

fn parse_cipher(name: &str, key_size: usize) -> Result<CipherSpec, Error> {
    let cipher: CipherSpec = name
        .parse()
        .map_err(|error| Error::Unsupported(format!("{error}")))?;
    if cipher.takes_key_of(key_size) {
        Ok(cipher)
    } else {
        Err(Error::Unsupported(format!(
            "{cipher} with a key of {key_size} bytes is not known"
        )))
    }
}

/// Text up to its first NUL, printable ASCII only.
fn text(bytes: &[u8; LENGTH], place: usize, length: usize) -> Result<String, Error> {
    let field = &bytes[place..place + length];
    let end = field.iter().position(|&byte| byte == 0).unwrap_or(length);
    if field[..end].iter().all(|byte| (0x20..0x7f).contains(byte)) {
        Ok(field[..end].iter().map(|&byte| char::from(byte)).collect())
    } else {
        Err(broken(format!("the text at byte {place} is not printable")))
    }
}

fn number(bytes: &[u8; LENGTH], place: usize) -> u32 {
    let mut field = [0; 4];
    field.copy_from_slice(&bytes[place..place + 4]);
    u32::from_be_bytes(field)
}

fn nonzero(number: u32, what: &str) -> Result<u32, Error> {
    if number == 0 {
        Err(broken(format!("the {what} are 0")))
    } else {
        Ok(number)
    }
}

fn broken(what: String) -> Error {
    Error::BrokenLuks1(what)
}
