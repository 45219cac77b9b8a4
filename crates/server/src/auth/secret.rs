//! Secrets: 256 random bits as text, and the comparisons that tell nothing about them.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A new secret: 64 hexadecimal digits.
pub fn generate() -> String {
    hex(&rand::random::<[u8; 32]>())
}

/// What is kept of a secret.
#[derive(Clone, Copy, Debug)]
pub struct Hashed([u8; 32]);

impl Hashed {
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret.as_bytes()).into())
    }

    /// Whether it is the same, in a time that does not depend on where they differ.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    pub fn to_hex(self) -> String {
        hex(&self.0)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
