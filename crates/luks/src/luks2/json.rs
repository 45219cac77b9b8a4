//! The JSON metadata as it is written: objects with numbered keys, 64-bit numbers as text.
//!
//! Specification: *LUKS2 On-Disk Format* 1.1.2, 3. Members that are not known stay in the document
//! and are left alone.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

#[derive(Deserialize)]
pub(super) struct Document {
    pub(super) keyslots: BTreeMap<String, Value>,
    pub(super) segments: BTreeMap<String, Value>,
    pub(super) digests: BTreeMap<String, Value>,
    /// Its presence is required; what is in it is other programs' business.
    #[serde(rename = "tokens")]
    pub(super) _tokens: BTreeMap<String, Value>,
    pub(super) config: Config,
}

#[derive(Deserialize)]
pub(super) struct Config {
    pub(super) json_size: Number,
    pub(super) keyslots_size: Number,
    #[serde(default)]
    pub(super) requirements: Requirements,
}

#[derive(Deserialize, Default)]
pub(super) struct Requirements {
    #[serde(default)]
    pub(super) mandatory: Vec<String>,
}

/// What every object has.
#[derive(Deserialize)]
pub(super) struct Typed {
    #[serde(rename = "type")]
    pub(super) kind: String,
}

/// Where any key slot is, of whatever type.
#[derive(Deserialize)]
pub(super) struct Placed {
    pub(super) area: PlacedArea,
}

#[derive(Deserialize)]
pub(super) struct PlacedArea {
    pub(super) offset: Number,
    pub(super) size: Number,
}

#[derive(Deserialize)]
pub(super) struct Luks2Slot {
    pub(super) key_size: usize,
    pub(super) af: AntiForensic,
    pub(super) area: RawArea,
    pub(super) kdf: Kdf,
    pub(super) priority: Option<i64>,
}

#[derive(Deserialize)]
pub(super) struct AntiForensic {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) stripes: u32,
    pub(super) hash: String,
}

#[derive(Deserialize)]
pub(super) struct RawArea {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) encryption: String,
    pub(super) key_size: usize,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Kdf {
    Argon2i(Argon2),
    Argon2id(Argon2),
    Pbkdf2 {
        hash: String,
        iterations: u32,
        salt: Bytes,
    },
}

#[derive(Deserialize)]
pub(super) struct Argon2 {
    pub(super) time: u32,
    pub(super) memory: u32,
    pub(super) cpus: u32,
    pub(super) salt: Bytes,
}

#[derive(Deserialize)]
pub(super) struct Crypt {
    pub(super) offset: Number,
    pub(super) size: SegmentSize,
    pub(super) iv_tweak: Number,
    pub(super) encryption: String,
    pub(super) sector_size: u32,
    pub(super) integrity: Option<Value>,
}

/// What a segment may be marked with.
#[derive(Deserialize)]
pub(super) struct Flagged {
    #[serde(default)]
    pub(super) flags: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct Digest {
    pub(super) keyslots: Vec<String>,
    pub(super) segments: Vec<String>,
    pub(super) hash: String,
    pub(super) iterations: u32,
    pub(super) salt: Bytes,
    pub(super) digest: Bytes,
}

/// A 64-bit number, written as decimal text.
#[derive(Clone, Copy)]
pub(super) struct Number(pub(super) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        parse_number(&text).map(Self).ok_or_else(|| {
            serde::de::Error::custom("a 64-bit number must be text of decimal digits")
        })
    }
}

/// The size of a segment: a number, or all there is.
pub(super) struct SegmentSize(pub(super) Option<u64>);

impl<'de> Deserialize<'de> for SegmentSize {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        if text == "dynamic" {
            return Ok(Self(None));
        }
        parse_number(&text)
            .map(|size| Self(Some(size)))
            .ok_or_else(|| {
                serde::de::Error::custom(
                    "a segment's size must be a number as text, or \"dynamic\"",
                )
            })
    }
}

/// Bytes, written as base64.
pub(super) struct Bytes(pub(super) Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD
            .decode(text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// Bytes as the metadata has them.
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Digits only: `u64::from_str` would also take a sign.
fn parse_number(text: &str) -> Option<u64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}
