//! The JSON document and its changes. Everything that is not touched stays as it was, also members
//! that this crate does not know.

use serde_json::{Map, Value, json};

use super::binary::{self, BinaryHeader};
use super::json::base64;
pub(crate) use super::resolve::{Fault, resolve};
use super::{AREA_ALIGNMENT, MOST_SLOTS};
use crate::kdf::Cost;
use crate::metadata::{Area, Digest, Keyslot, Priority, Segment, SlotNumber};

/// The JSON behind a binary header, as it was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Document(pub(crate) Value);

impl Document {
    /// Reads the JSON area: text, then zeros. The error says what is wrong.
    pub(crate) fn parse(area: &[u8]) -> Result<Self, String> {
        let end = area
            .iter()
            .position(|&byte| byte == 0)
            .unwrap_or(area.len());
        if area[end..].iter().any(|&byte| byte != 0) {
            return Err("there are bytes behind its JSON".to_owned());
        }
        let value: Value = serde_json::from_slice(&area[..end])
            .map_err(|error| format!("its JSON cannot be read: {error}"))?;
        if value.is_object() {
            Ok(Self(value))
        } else {
            Err("its JSON is no object".to_owned())
        }
    }

    /// The document of a new container without keys.
    pub(crate) fn new(
        header: &BinaryHeader,
        keyslots_size: u64,
        segment: &Segment,
        digest: &Digest,
    ) -> Self {
        Self(json!({
            "keyslots": {},
            "tokens": {},
            "segments": { "0": {
                "type": "crypt",
                "offset": segment.offset.to_string(),
                "size": segment.size.map_or_else(|| "dynamic".to_owned(), |size| size.to_string()),
                "iv_tweak": segment.iv_tweak.to_string(),
                "encryption": segment.cipher.to_string(),
                "sector_size": segment.sector_size,
            } },
            "digests": { "0": {
                "type": "pbkdf2",
                "keyslots": [],
                "segments": ["0"],
                "hash": digest.hash.to_string(),
                "iterations": digest.iterations,
                "salt": base64(&digest.salt),
                "digest": base64(&digest.digest),
            } },
            "config": {
                "json_size": (header.size - binary::LENGTH as u64).to_string(),
                "keyslots_size": keyslots_size.to_string(),
            },
        }))
    }

    /// Adds a slot and lets it prove the data's key.
    pub(crate) fn add_keyslot(&mut self, number: SlotNumber, slot: &Keyslot) {
        let name = number.to_string();
        let segments = self
            .member("segments")
            .map(|all| all.keys().cloned().collect::<Vec<_>>());
        self.each_of("digests", |digest| {
            let proves = |list: &Value| {
                let mut names = list
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str);
                names.any(|name| segments.iter().flatten().any(|segment| segment == name))
            };
            if digest.get("segments").is_some_and(proves)
                && let Some(slots) = digest.get_mut("keyslots").and_then(Value::as_array_mut)
            {
                slots.push(Value::from(name.clone()));
            }
        });
        if let Some(slots) = self.member("keyslots") {
            slots.insert(name, keyslot_json(slot));
        }
    }

    /// Removes a slot and every mention of it.
    pub(crate) fn remove_keyslot(&mut self, number: SlotNumber) {
        let name = number.to_string();
        if let Some(slots) = self.member("keyslots") {
            slots.remove(&name);
        }
        for kind in ["digests", "tokens"] {
            self.each_of(kind, |object| {
                if let Some(slots) = object.get_mut("keyslots").and_then(Value::as_array_mut) {
                    slots.retain(|slot| slot.as_str() != Some(&name));
                }
            });
        }
    }

    /// The lowest number without a slot.
    pub(crate) fn free_number(&self) -> Option<SlotNumber> {
        let slots = self.0.get("keyslots")?.as_object()?;
        (0..MOST_SLOTS).find(|number| !slots.contains_key(&number.to_string()))
    }

    /// The first gap of `size` bytes between the areas of all slots, within `all`.
    pub(crate) fn free_area(&self, size: u64, all: Area) -> Option<Area> {
        let size = size.next_multiple_of(AREA_ALIGNMENT);
        let mut taken: Vec<Area> = self
            .0
            .get("keyslots")?
            .as_object()?
            .values()
            .filter_map(|slot| area_of(slot.get("area")?))
            .collect();
        taken.sort_unstable_by_key(|area| area.offset);
        let mut offset = all.offset;
        for area in taken {
            if area.offset.saturating_sub(offset) >= size {
                break;
            }
            offset = offset.max(area.end().checked_next_multiple_of(AREA_ALIGNMENT)?);
        }
        let found = Area { offset, size };
        (found.end() <= all.end()).then_some(found)
    }

    /// Where the slot's area is, of whatever type the slot is.
    pub(crate) fn area_of_slot(&self, number: SlotNumber) -> Option<Area> {
        area_of(
            self.0
                .get("keyslots")?
                .get(number.to_string())?
                .get("area")?,
        )
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        self.0.to_string().into_bytes()
    }

    fn member(&mut self, name: &str) -> Option<&mut Map<String, Value>> {
        self.0.get_mut(name).and_then(Value::as_object_mut)
    }

    fn each_of(&mut self, name: &str, mut work: impl FnMut(&mut Map<String, Value>)) {
        for object in self.member(name).into_iter().flat_map(Map::values_mut) {
            if let Some(object) = object.as_object_mut() {
                work(object);
            }
        }
    }
}

fn area_of(area: &Value) -> Option<Area> {
    let number = |name: &str| area.get(name)?.as_str()?.parse().ok();
    Some(Area {
        offset: number("offset")?,
        size: number("size")?,
    })
}

fn keyslot_json(slot: &Keyslot) -> Value {
    json!({
        "type": "luks2",
        "key_size": slot.key_size,
        "af": { "type": "luks1", "stripes": slot.stripes, "hash": slot.af_hash.to_string() },
        "area": {
            "type": "raw",
            "offset": slot.area.offset.to_string(),
            "size": slot.area.size.to_string(),
            "encryption": slot.cipher.to_string(),
            "key_size": slot.area_key_size,
        },
        "kdf": kdf_json(&slot.cost, &slot.salt),
        "priority": match slot.priority {
            Priority::Ignore => 0,
            Priority::Normal => 1,
            Priority::Prefer => 2,
        },
    })
}

fn kdf_json(cost: &Cost, salt: &[u8]) -> Value {
    let salt = base64(salt);
    match cost {
        Cost::Argon2id(argon2) | Cost::Argon2i(argon2) => json!({
            "type": if matches!(cost, Cost::Argon2id(_)) { "argon2id" } else { "argon2i" },
            "time": argon2.passes,
            "memory": argon2.memory,
            "cpus": argon2.lanes,
            "salt": salt,
        }),
        Cost::Pbkdf2 { hash, iterations } => json!({
            "type": "pbkdf2",
            "hash": hash.to_string(),
            "iterations": iterations,
            "salt": salt,
        }),
    }
}
