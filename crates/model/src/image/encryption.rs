//! How an image is encrypted at rest. Nothing here is secret: it is what the header of the container
//! tells anybody.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Format;

/// The encryption of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Encryption {
    /// The container's format.
    pub version: LuksVersion,
    /// The container's own identity (UUID in its header).
    pub uuid: String,
    /// The cipher, as `cryptsetup` writes it.
    #[schema(example = "aes-xts-plain64")]
    pub cipher: String,
    /// Bits of the volume key.
    #[schema(example = 512)]
    pub key_bits: u32,
    /// Bytes that are encrypted as one.
    #[schema(example = 4096)]
    pub sector_size: u32,
    /// Bytes of the disk inside.
    pub size: crate::Size,
    /// What is inside, where Kinglet encrypted it or has seen it unlocked. Absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inside: Option<Format>,
    /// Who can open it.
    pub keyslots: Vec<Keyslot>,
    /// What is wrong with the header, and what to do, where something is; the container can still be
    /// opened as long as the image is not damaged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_note: Option<String>,
}

/// The format of an encrypted container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LuksVersion {
    /// LUKS1: read only, its keys are not changed.
    Luks1,
    /// LUKS2.
    Luks2,
}

/// A keyslot: one passphrase or key file that opens the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Keyslot {
    /// Its number.
    pub slot: u32,
    /// How a key is made from the passphrase: `argon2id`, `argon2i`, `pbkdf2`.
    #[schema(example = "argon2id")]
    pub kdf: String,
    /// Memory that this takes. Absent for `pbkdf2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<crate::Size>,
    /// Why it cannot be used here, where it cannot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusable: Option<String>,
}
