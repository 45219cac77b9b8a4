//! Encryption of sectors: which cipher a header names, and the cipher with its key.
//!
//! Only AES: what `cryptsetup` and QEMU have created by default since 2008. XTS is for new
//! containers, CBC for reading old ones.

mod cbc;
mod xts;

use std::fmt;
use std::str::FromStr;

use aes::{Aes128, Aes192, Aes256};
use thiserror::Error;

use crate::hash::Hash;
use crate::memory::Guarded;
use crate::secret::Secret;
use cbc::Cbc;
use xts::Xts;

/// Bytes of the sectors that initialisation vectors count, whatever the sector size.
pub const IV_SECTOR: u64 = 512;

/// A cipher as headers spell it, such as `aes-xts-plain64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CipherSpec {
    mode: Mode,
    iv: Iv,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Xts,
    Cbc,
}

/// How a sector's number becomes its initialisation vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Iv {
    /// The low 32 bits.
    Plain,
    /// All 64 bits.
    Plain64,
    /// All 64 bits, encrypted with the key's hash.
    Essiv(Hash),
}

/// The header names a cipher that this crate does not have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "the cipher \"{0}\" is not supported; aes-xts-plain64 is, and AES with plain or ESSIV vectors"
)]
pub struct UnknownCipher(String);

impl CipherSpec {
    /// `aes-xts-plain64`, for everything new.
    pub const XTS: Self = Self {
        mode: Mode::Xts,
        iv: Iv::Plain64,
    };

    /// Whether a key of `length` bytes fits.
    #[must_use]
    pub fn takes_key_of(self, length: usize) -> bool {
        match self.mode {
            Mode::Xts => matches!(length, 32 | 64),
            Mode::Cbc => matches!(length, 16 | 24 | 32),
        }
    }
}

impl FromStr for CipherSpec {
    type Err = UnknownCipher;

    fn from_str(text: &str) -> Result<Self, UnknownCipher> {
        let unknown = || UnknownCipher(text.chars().take(64).collect());
        let (mode, iv) = text
            .strip_prefix("aes-")
            .and_then(|rest| rest.split_once('-'))
            .ok_or_else(unknown)?;
        let iv = match iv {
            "plain" => Iv::Plain,
            "plain64" => Iv::Plain64,
            other => {
                let hash = other.strip_prefix("essiv:").ok_or_else(unknown)?;
                Iv::Essiv(hash.parse().map_err(|_| unknown())?)
            }
        };
        match (mode, iv) {
            ("xts", Iv::Plain | Iv::Plain64) => Ok(Self {
                mode: Mode::Xts,
                iv,
            }),
            // The hash becomes an AES key: only lengths that AES has.
            ("cbc", Iv::Plain | Iv::Plain64 | Iv::Essiv(Hash::Sha256)) => Ok(Self {
                mode: Mode::Cbc,
                iv,
            }),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for CipherSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Xts => "xts",
            Mode::Cbc => "cbc",
        };
        match self.iv {
            Iv::Plain => write!(out, "aes-{mode}-plain"),
            Iv::Plain64 => write!(out, "aes-{mode}-plain64"),
            Iv::Essiv(hash) => write!(out, "aes-{mode}-essiv:{hash}"),
        }
    }
}

/// A cipher with its key, for whole sectors. The key schedule is locked in memory and wiped.
#[derive(Debug)]
pub struct SectorCipher {
    engine: Engine,
    sector_size: usize,
}

#[derive(Debug)]
enum Engine {
    Xts128(Guarded<Xts<Aes128>>),
    Xts256(Guarded<Xts<Aes256>>),
    Cbc128(Guarded<Cbc<Aes128>>),
    Cbc192(Guarded<Cbc<Aes192>>),
    Cbc256(Guarded<Cbc<Aes256>>),
}

impl SectorCipher {
    /// The cipher `spec` with `key`, for sectors of `sector_size` bytes. None when the key's length
    /// does not fit the cipher, or the sector size is not a power of two from 512 to 4096.
    #[must_use]
    pub fn new(spec: CipherSpec, key: &Secret, sector_size: usize) -> Option<Self> {
        if !matches!(sector_size, 512 | 1024 | 2048 | 4096) {
            return None;
        }
        let key = key.expose();
        let iv = spec.iv;
        let engine = match (spec.mode, key.len()) {
            (Mode::Xts, 32) => Engine::Xts128(Guarded::new(Xts::new(key, iv)?)),
            (Mode::Xts, 64) => Engine::Xts256(Guarded::new(Xts::new(key, iv)?)),
            (Mode::Cbc, 16) => Engine::Cbc128(Guarded::new(Cbc::new(key, iv)?)),
            (Mode::Cbc, 24) => Engine::Cbc192(Guarded::new(Cbc::new(key, iv)?)),
            (Mode::Cbc, 32) => Engine::Cbc256(Guarded::new(Cbc::new(key, iv)?)),
            _ => return None,
        };
        Some(Self {
            engine,
            sector_size,
        })
    }

    /// Bytes of a sector.
    #[must_use]
    pub fn sector_size(&self) -> usize {
        self.sector_size
    }

    /// Encrypts `data` in place: whole sectors, the first of which has the vector `iv` (counted in
    /// sectors of 512 bytes). A rest of less than a sector is left as it is.
    pub fn encrypt(&self, iv: u64, data: &mut [u8]) {
        match &self.engine {
            Engine::Xts128(xts) => self.each(iv, data, |iv, sector| xts.encrypt(iv, sector)),
            Engine::Xts256(xts) => self.each(iv, data, |iv, sector| xts.encrypt(iv, sector)),
            Engine::Cbc128(cbc) => self.each(iv, data, |iv, sector| cbc.encrypt(iv, sector)),
            Engine::Cbc192(cbc) => self.each(iv, data, |iv, sector| cbc.encrypt(iv, sector)),
            Engine::Cbc256(cbc) => self.each(iv, data, |iv, sector| cbc.encrypt(iv, sector)),
        }
    }

    /// Decrypts what [`SectorCipher::encrypt`] encrypted.
    pub fn decrypt(&self, iv: u64, data: &mut [u8]) {
        match &self.engine {
            Engine::Xts128(xts) => self.each(iv, data, |iv, sector| xts.decrypt(iv, sector)),
            Engine::Xts256(xts) => self.each(iv, data, |iv, sector| xts.decrypt(iv, sector)),
            Engine::Cbc128(cbc) => self.each(iv, data, |iv, sector| cbc.decrypt(iv, sector)),
            Engine::Cbc192(cbc) => self.each(iv, data, |iv, sector| cbc.decrypt(iv, sector)),
            Engine::Cbc256(cbc) => self.each(iv, data, |iv, sector| cbc.decrypt(iv, sector)),
        }
    }

    fn each(&self, iv: u64, data: &mut [u8], work: impl Fn(u64, &mut [u8])) {
        let step = self.sector_size as u64 / IV_SECTOR;
        let mut iv = iv;
        for sector in data.chunks_exact_mut(self.sector_size) {
            work(iv, sector);
            iv = iv.wrapping_add(step);
        }
    }
}

#[cfg(test)]
mod tests;
