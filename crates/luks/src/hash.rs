//! The hash functions that headers name.

use std::fmt;
use std::str::FromStr;

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// A hash function that this crate computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// In LUKS1 headers of old; not offered for new ones.
    Sha1,
    /// What new containers use.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// Bytes of a digest.
    #[must_use]
    pub fn length(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }

    /// Hashes `parts` one after the other; writes as much of the digest as `output` has room for.
    pub(crate) fn digest(self, parts: &[&[u8]], output: &mut [u8]) {
        match self {
            Self::Sha1 => digest_with::<Sha1>(parts, output),
            Self::Sha256 => digest_with::<Sha256>(parts, output),
            Self::Sha384 => digest_with::<Sha384>(parts, output),
            Self::Sha512 => digest_with::<Sha512>(parts, output),
        }
    }

    /// PBKDF2-HMAC over this hash.
    pub(crate) fn pbkdf2(self, password: &[u8], salt: &[u8], iterations: u32, output: &mut [u8]) {
        match self {
            Self::Sha1 => pbkdf2::pbkdf2_hmac::<Sha1>(password, salt, iterations, output),
            Self::Sha256 => pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, output),
            Self::Sha384 => pbkdf2::pbkdf2_hmac::<Sha384>(password, salt, iterations, output),
            Self::Sha512 => pbkdf2::pbkdf2_hmac::<Sha512>(password, salt, iterations, output),
        }
    }
}

fn digest_with<D: Digest>(parts: &[&[u8]], output: &mut [u8]) {
    let mut hasher = D::new();
    for part in parts {
        hasher.update(part);
    }
    let digest = hasher.finalize();
    let count = output.len().min(digest.len());
    output[..count].copy_from_slice(&digest[..count]);
}

impl fmt::Display for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        })
    }
}

/// The text is not the name of a hash that this crate computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownHash;

impl FromStr for Hash {
    type Err = UnknownHash;

    fn from_str(name: &str) -> Result<Self, UnknownHash> {
        match name {
            "sha1" => Ok(Self::Sha1),
            "sha256" => Ok(Self::Sha256),
            "sha384" => Ok(Self::Sha384),
            "sha512" => Ok(Self::Sha512),
            _ => Err(UnknownHash),
        }
    }
}
