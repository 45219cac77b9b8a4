//! From the JSON as written to what it means, checked: every place within bounds, every reference
//! to something that is there, every function one that is known.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::binary::{self, BinaryHeader};
use super::json::{self, Bytes, Config, Crypt, Document, Flagged, Kdf, Luks2Slot, Placed, Typed};
use super::{AREA_ALIGNMENT, LARGEST_KEYSLOTS_AREA, MOST_SLOTS};
use crate::hash::Hash;
use crate::kdf::{Argon2Cost, Cost};
use crate::metadata::{
    Area, Digest, Keyslot, LONGEST_KEY, Metadata, Priority, Segment, SlotNumber, Version,
};

/// Most bytes of a split key; the largest that `cryptsetup` writes is 2 MB.
const LARGEST_MATERIAL: usize = 16 << 20;
/// Most bytes of salts and digests.
const LONGEST_SALT: usize = 1024;

/// Why a document cannot be used.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It contradicts itself or the specification: the copy is broken.
    Broken(String),
    /// It is right, and asks for what is not done here.
    Unsupported(String),
}

/// What the `document` of a header with these binary fields means.
pub(crate) fn resolve(header: &BinaryHeader, document: &Value) -> Result<Metadata, Fault> {
    let document: Document = read("the metadata", document)?;
    check_requirements(&document.config)?;
    let keyslots_area = check_config(header, &document.config)?;
    check_areas(&document.keyslots, keyslots_area)?;
    let (segment_name, segment) = resolve_segment(&document.segments, keyslots_area)?;
    let (digest, owners) = resolve_digest(&document, &segment_name)?;
    let mut metadata = Metadata {
        version: Version::Luks2,
        uuid: header.uuid.clone(),
        label: header.label.clone(),
        subsystem: header.subsystem.clone(),
        segment,
        keyslots: BTreeMap::new(),
        unusable: BTreeMap::new(),
        digest,
        header_length: keyslots_area.end(),
    };
    for (name, slot) in &document.keyslots {
        let number = slot_number(name)?;
        let usable = if owners.contains(name) {
            resolve_keyslot(slot, &metadata.segment)?
        } else {
            Err("its key is not the one of the data".to_owned())
        };
        match usable {
            Ok(slot) => drop(metadata.keyslots.insert(number, slot)),
            Err(reason) => drop(metadata.unusable.insert(number, reason)),
        }
    }
    Ok(metadata)
}

fn check_requirements(config: &Config) -> Result<(), Fault> {
    let mandatory = &config.requirements.mandatory;
    if mandatory.iter().any(|name| name.contains("reencrypt")) {
        let message = "it is in the middle of being re-encrypted; finish that with \
                       `cryptsetup reencrypt --resume-only`";
        return Err(Fault::Unsupported(message.to_owned()));
    }
    match mandatory.first() {
        None => Ok(()),
        Some(name) => Err(Fault::Unsupported(format!(
            "it requires \"{}\", which is not known",
            shortened(name)
        ))),
    }
}

fn check_config(header: &BinaryHeader, config: &Config) -> Result<Area, Fault> {
    let json_size = header.size - binary::LENGTH as u64;
    if config.json_size.0 != json_size {
        return Err(broken(format!(
            "its JSON area has {json_size} bytes, not {}",
            config.json_size.0
        )));
    }
    let area = Area {
        offset: 2 * header.size,
        size: config.keyslots_size.0,
    };
    if area.size > LARGEST_KEYSLOTS_AREA || !area.size.is_multiple_of(AREA_ALIGNMENT) {
        return Err(broken(format!(
            "a key slot area of {} bytes is not possible",
            area.size
        )));
    }
    Ok(area)
}

/// Every slot's area, of whatever type, is inside and its own.
fn check_areas(slots: &BTreeMap<String, Value>, all: Area) -> Result<(), Fault> {
    let mut areas: Vec<(u64, Area, &str)> = Vec::new();
    for (name, slot) in slots {
        slot_number(name)?;
        let placed: Placed = read(&format!("key slot {name}"), slot)?;
        let area = Area {
            offset: placed.area.offset.0,
            size: placed.area.size.0,
        };
        if area.offset < all.offset || area.end() > all.end() {
            return Err(broken(format!(
                "the area of key slot {name} lies outside the header"
            )));
        }
        areas.push((area.offset, area, name));
    }
    areas.sort_unstable_by_key(|&(offset, ..)| offset);
    for pair in areas.windows(2) {
        if pair[0].1.overlaps(pair[1].1) {
            return Err(broken(format!(
                "the areas of key slots {} and {} overlap",
                pair[0].2, pair[1].2
            )));
        }
    }
    Ok(())
}

fn slot_number(name: &str) -> Result<SlotNumber, Fault> {
    name.parse()
        .ok()
        .filter(|number: &u32| *number < MOST_SLOTS && number.to_string() == name)
        .ok_or_else(|| {
            broken(format!(
                "\"{}\" is not a number of a key slot",
                shortened(name)
            ))
        })
}

fn resolve_segment(
    segments: &BTreeMap<String, Value>,
    keyslots: Area,
) -> Result<(String, Segment), Fault> {
    let mut found = None;
    for (name, value) in segments {
        let what = format!("segment {}", shortened(name));
        let flags = read::<Flagged>(&what, value)?.flags;
        if let Some(flag) = flags.first() {
            return Err(Fault::Unsupported(format!(
                "its data is marked \"{}\": a re-encryption did not finish",
                shortened(flag)
            )));
        }
        let kind = read::<Typed>(&what, value)?.kind;
        if kind != "crypt" {
            return Err(Fault::Unsupported(format!(
                "its data is of the kind \"{}\"; only \"crypt\" is known",
                shortened(&kind)
            )));
        }
        if found
            .replace((name, read::<Crypt>(&what, value)?))
            .is_some()
        {
            return Err(Fault::Unsupported(
                "its data is in more than one segment".to_owned(),
            ));
        }
    }
    let (name, crypt) = found.ok_or_else(|| broken("it has no data segment".to_owned()))?;
    Ok((name.clone(), check_segment(&crypt, keyslots)?))
}

fn check_segment(crypt: &Crypt, keyslots: Area) -> Result<Segment, Fault> {
    if crypt.integrity.is_some() {
        let message = "its data has integrity tags, which only device-mapper reads";
        return Err(Fault::Unsupported(message.to_owned()));
    }
    let cipher = crypt
        .encryption
        .parse()
        .map_err(|error| Fault::Unsupported(format!("{error}")))?;
    let sector = u64::from(crypt.sector_size);
    if !matches!(sector, 512 | 1024 | 2048 | 4096) {
        return Err(broken(format!(
            "sectors of {sector} bytes are not possible"
        )));
    }
    let (offset, size) = (crypt.offset.0, crypt.size.0);
    let misplaced = (offset != 0 && offset < keyslots.end())
        || !offset.is_multiple_of(512)
        || size.is_some_and(|size| size == 0 || !size.is_multiple_of(sector))
        || offset.checked_add(size.unwrap_or_default()).is_none();
    if misplaced {
        return Err(broken(format!(
            "data cannot lie at byte {offset} with size {size:?}"
        )));
    }
    Ok(Segment {
        offset,
        size,
        iv_tweak: crypt.iv_tweak.0,
        cipher,
        sector_size: crypt.sector_size,
    })
}

/// The digest of the data's key, and the names of the slots that hold this key.
fn resolve_digest(document: &Document, segment: &str) -> Result<(Digest, Vec<String>), Fault> {
    for (name, value) in &document.digests {
        let what = format!("digest {}", shortened(name));
        let kind = read::<Typed>(&what, value)?.kind;
        if kind != "pbkdf2" {
            continue;
        }
        let digest: json::Digest = read(&what, value)?;
        if let Some(lost) = digest
            .keyslots
            .iter()
            .find(|slot| !document.keyslots.contains_key(*slot))
        {
            return Err(broken(format!(
                "{what} names key slot {}, which is not there",
                shortened(lost)
            )));
        }
        if digest.segments.iter().any(|name| name == segment) {
            return Ok((check_digest(&what, &digest)?, digest.keyslots));
        }
    }
    Err(broken("no digest proves the key of its data".to_owned()))
}

fn check_digest(what: &str, digest: &json::Digest) -> Result<Digest, Fault> {
    let hash = digest
        .hash
        .parse()
        .map_err(|_| unknown_hash(&digest.hash))?;
    if digest.iterations == 0 {
        return Err(broken(format!("{what} has no iterations")));
    }
    if digest.digest.0.len() < 16 || digest.digest.0.len() > LONGEST_SALT {
        return Err(broken(format!(
            "{what} has {} bytes",
            digest.digest.0.len()
        )));
    }
    Ok(Digest {
        hash,
        iterations: digest.iterations,
        salt: checked_salt(what, &digest.salt)?,
        digest: digest.digest.0.clone(),
    })
}

/// The slot, or why this crate cannot open it.
fn resolve_keyslot(value: &Value, segment: &Segment) -> Result<Result<Keyslot, String>, Fault> {
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
    let cipher: crate::CipherSpec = slot
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

fn checked_salt(what: &str, salt: &Bytes) -> Result<Vec<u8>, Fault> {
    if salt.0.is_empty() || salt.0.len() > LONGEST_SALT {
        return Err(broken(format!(
            "{what} has a salt of {} bytes",
            salt.0.len()
        )));
    }
    Ok(salt.0.clone())
}

fn read<T: DeserializeOwned>(what: &str, value: &Value) -> Result<T, Fault> {
    T::deserialize(value).map_err(|error| broken(format!("{what} cannot be read: {error}")))
}

fn unknown_hash(name: &str) -> Fault {
    Fault::Unsupported(unknown(name))
}

fn unknown(name: &str) -> String {
    format!(
        "it uses the hash \"{}\", which is not known",
        shortened(name)
    )
}

fn broken(what: String) -> Fault {
    Fault::Broken(what)
}

/// For messages: what a header says may be long.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}
