//! A key slot: what can be opened here, and why the others cannot.

use serde_json::Value;

use super::{Fault, LONGEST_SALT, read, shortened, unknown};
use crate::cipher::CipherSpec;
use crate::hash::Hash;
use crate::kdf::{Argon2Cost, Cost};
use crate::luks2::json::{self, Kdf, Luks2Slot, Placed, Typed};
use crate::metadata::{Area, Keyslot, LONGEST_KEY, Priority, Segment};

/// Most bytes of a split key; the largest that `cryptsetup` writes is 2 MB.
const LARGEST_MATERIAL: usize = 16 << 20;

/// The slot, or why this crate cannot open it.
pub(super) fn resolve_keyslot(
    value: &Value,
    segment: &Segment,
) -> Result<Result<Keyslot, String>, Fault> {
    let kind = read::<Typed>("a key slot", value)?.kind;
    if kind != "luks2" {
        return Ok(Err(format!("it is of the kind \"{}\"", shortened(&kind))));
    }
    let placed: Placed = read("a key slot", value)?;
    let slot: Luks2Slot = match read("a key slot", value) {
        Ok(slot) => slot,
        Err(Fault::Broken(reason) | Fault::Unsupported(reason)) => return Ok(Err(reason)),
    };
    let area = Area {
        offset: placed.area.offset.0,
        size: placed.area.size.0,
    };
    Ok(build_keyslot(slot, area, segment))
}

fn build_keyslot(slot: Luks2Slot, area: Area, segment: &Segment) -> Result<Keyslot, String> {
    if slot.area.kind != "raw" || slot.af.kind != "luks1" {
        let (area, af) = (shortened(&slot.area.kind), shortened(&slot.af.kind));
        return Err(format!("its area is \"{area}\" and its splitter \"{af}\""));
    }
    let (cost, salt) = resolve_kdf(slot.kdf)?;
    let cipher: CipherSpec = slot
        .area
        .encryption
        .parse()
        .map_err(|error| format!("{error}"))?;
    if !cipher.takes_key_of(slot.area.key_size) {
        return Err(format!(
            "{cipher} does not take a key of {} bytes",
            slot.area.key_size
        ));
    }
    if slot.key_size > LONGEST_KEY || !segment.cipher.takes_key_of(slot.key_size) {
        return Err(format!(
            "{} does not take a key of {} bytes",
            segment.cipher, slot.key_size
        ));
    }
    let keyslot = Keyslot {
        cost,
        priority: match slot.priority {
            Some(0) => Priority::Ignore,
            Some(2) => Priority::Prefer,
            _ => Priority::Normal,
        },
        key_size: slot.key_size,
        stripes: slot.af.stripes,
        af_hash: slot.af.hash.parse().map_err(|_| unknown(&slot.af.hash))?,
        salt,
        area,
        cipher,
        area_key_size: slot.area.key_size,
    };
    let material = keyslot.material_length();
    if keyslot.stripes == 0 || material > LARGEST_MATERIAL || material as u64 > area.size {
        return Err(format!(
            "its area of {} bytes does not hold its {} stripes",
            area.size, keyslot.stripes
        ));
    }
    Ok(keyslot)
}

fn resolve_kdf(kdf: Kdf) -> Result<(Cost, Vec<u8>), String> {
    let argon2 = |argon2: &json::Argon2| Argon2Cost {
        memory: argon2.memory,
        passes: argon2.time,
        lanes: argon2.cpus,
    };
    let (cost, salt) = match kdf {
        Kdf::Argon2id(figures) => (Cost::Argon2id(argon2(&figures)), figures.salt),
        Kdf::Argon2i(figures) => (Cost::Argon2i(argon2(&figures)), figures.salt),
        Kdf::Pbkdf2 {
            hash,
            iterations,
            salt,
        } => {
            let hash: Hash = hash.parse().map_err(|_| unknown(&hash))?;
            (Cost::Pbkdf2 { hash, iterations }, salt)
        }
    };
    // Argon2 takes no salt of less.
    if !cost.is_sound() || !(8..=LONGEST_SALT).contains(&salt.0.len()) {
        return Err("its key derivation has figures that are not possible".to_owned());
    }
    Ok((cost, salt.0))
}
