//! From the JSON as written to what it means, checked: every place within bounds, every reference
//! to something that is there, every function one that is known.

mod digest;
mod keyslot;
mod segment;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::binary::{self, BinaryHeader};
use super::json::{Config, Document, Placed};
use super::{AREA_ALIGNMENT, LARGEST_KEYSLOTS_AREA, MOST_SLOTS};
use crate::metadata::{Area, Metadata, SlotNumber, Version};
use digest::resolve_digest;
use keyslot::resolve_keyslot;
use segment::resolve_segment;

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
