//! Bytes that nobody may see: passphrases, keys and what leads to them.

use std::io::{self, Read};

use rand::TryRng;
use rand::rngs::SysRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use crate::memory;

/// The longest key file that is read, as `cryptsetup` has it: 8 MiB.
pub const LONGEST_KEY_FILE: usize = 8 << 20;

/// Secret bytes. Wiped when dropped; locked in memory and kept out of core dumps where the system
/// allows; compared in constant time; without `Debug`, `Display` or `Clone`.
pub struct Secret {
    /// Long enough to contain whole pages around the secret, whatever the allocator's alignment.
    buffer: Vec<u8>,
    start: usize,
    length: usize,
    locked: bool,
}

impl Secret {
    /// `length` zero bytes, to be filled through [`Secret::expose_mut`].
    #[must_use]
    pub fn zeroed(length: usize) -> Self {
        let page = rustix::param::page_size();
        let pages = length.next_multiple_of(page).max(page);
        let buffer = vec![0_u8; pages + page];
        let start = buffer.as_ptr().addr().next_multiple_of(page) - buffer.as_ptr().addr();
        let locked = memory::lock(buffer.as_ptr(), buffer.len());
        Self {
            buffer,
            start,
            length,
            locked,
        }
    }

    /// A copy of `bytes`. The caller wipes its own.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut secret = Self::zeroed(bytes.len());
        secret.expose_mut().copy_from_slice(bytes);
        secret
    }

    /// Takes over `bytes` and wipes the place where they were.
    #[must_use]
    pub fn take(mut bytes: Vec<u8>) -> Self {
        let secret = Self::copy_of(&bytes);
        bytes.zeroize();
        secret
    }

    /// `length` bytes from the system's random source.
    ///
    /// # Errors
    /// What the system said, when it has none to give.
    pub fn random(length: usize) -> io::Result<Self> {
        let mut secret = Self::zeroed(length);
        fill_random(secret.expose_mut())?;
        Ok(secret)
    }

    /// All of a key file, every byte as it is, line ends too.
    ///
    /// # Errors
    /// `InvalidData` for more than [`LONGEST_KEY_FILE`] bytes; else what reading said.
    pub fn read_key_file(mut file: impl Read) -> io::Result<Self> {
        let mut read = Self::zeroed(4096);
        let mut length = 0;
        loop {
            if length == read.len() {
                read = read.resized(2 * length);
            }
            match file.read(&mut read.expose_mut()[length..]) {
                Ok(0) => return Ok(read.resized(length)),
                Ok(count) => length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if length > LONGEST_KEY_FILE {
                let message = format!("a key file has at most {LONGEST_KEY_FILE} bytes");
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        }
    }

    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.buffer[self.start..self.start + self.length]
    }

    /// The bytes, to be filled.
    #[must_use]
    pub fn expose_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.start + self.length]
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.length
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether the bytes are the same, in a time that does not depend on them.
    #[must_use]
    pub fn matches(&self, other: &[u8]) -> bool {
        self.expose().ct_eq(other).into()
    }

    /// Whether the system agreed to keep them out of swap and core dumps.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// Another with as many of the bytes as fit into `length`, zeros behind them.
    fn resized(&self, length: usize) -> Self {
        let mut other = Self::zeroed(length);
        let count = length.min(self.length);
        other.expose_mut()[..count].copy_from_slice(&self.expose()[..count]);
        other
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.buffer.zeroize();
        memory::unlock(self.buffer.as_ptr(), self.buffer.capacity());
    }
}

/// Fills `bytes` from the system's random source.
pub(crate) fn fill_random(bytes: &mut [u8]) -> io::Result<()> {
    SysRng
        .try_fill_bytes(bytes)
        .map_err(|error| io::Error::other(format!("the system gave no random bytes: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_small_is_locked_and_out_of_dumps() {
        let secret = Secret::copy_of(b"correct horse");
        assert!(secret.is_locked());
        let address = secret.expose().as_ptr().addr();
        let flags = flags_of_mapping(address);
        assert!(flags.contains(&"lo".to_owned()), "locked: {flags:?}");
        assert!(flags.contains(&"dd".to_owned()), "not dumped: {flags:?}");
    }

    #[test]
    fn secret_dropped_releases_its_lock() {
        let secret = Secret::copy_of(&[7; 1 << 20]);
        let address = secret.expose().as_ptr().addr();
        drop(secret);
        // Its heap page may be gone or stay; it must not stay locked.
        assert!(!flags_of_mapping(address).contains(&"lo".to_owned()));
    }

    #[test]
    fn key_file_too_long_is_refused() {
        let error = Secret::read_key_file(io::repeat(1)).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let whole = Secret::read_key_file(&b"line\n"[..]).unwrap();
        assert!(whole.matches(b"line\n"));
        assert!(!whole.matches(b"line"));
    }

    /// `VmFlags` of the mapping that holds `address`, from smaps.
    fn flags_of_mapping(address: usize) -> Vec<String> {
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in smaps.lines() {
            if let Some(range) = line.split(' ').next().and_then(|word| word.split_once('-'))
                && let Ok(first) = usize::from_str_radix(range.0, 16)
                && let Ok(end) = usize::from_str_radix(range.1, 16)
            {
                inside = (first..end).contains(&address);
            }
            if let Some(flags) = line.strip_prefix("VmFlags:")
                && inside
            {
                return flags.split_whitespace().map(str::to_owned).collect();
            }
        }
        Vec::new()
    }
}
