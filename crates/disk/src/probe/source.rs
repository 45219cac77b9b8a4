//! The bytes under examination: a file, or the beginning of what a compressed file holds. Counts what
//! is read, so that no image can make the host read for long.

use std::cell::Cell;

use super::ProbeError;
use super::damage::Damage;
use crate::read::ReadAt;

/// Why an examination stops.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Something is wrong with the image.
    Damage(Damage),
    /// The structures need bytes up to here, beyond the end.
    Short { needed: u64 },
    /// The place lies in the part of a compressed image that was not unpacked: nothing more is known.
    Unseen,
    /// The host could not read the file.
    Read(ProbeError),
}

impl From<Damage> for Trouble {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}

/// The result of examining a structure.
pub(crate) type Examined<T = ()> = Result<T, Trouble>;

/// Longer than any file: the length of something whose length is not known.
const UNKNOWN: u64 = i64::MAX as u64;

/// The smallest price of a read, so that many small ones are bounded as well.
const READ_PRICE: u64 = 512;

/// Bytes with a length and a budget.
pub(crate) struct Source<'a> {
    bytes: &'a dyn ReadAt,
    length: Option<u64>,
    visible: u64,
    budget: Cell<u64>,
}

impl<'a> Source<'a> {
    /// All of `bytes`; at most `budget` bytes of it are read.
    pub(crate) fn new(bytes: &'a dyn ReadAt, budget: u64) -> Result<Self, ProbeError> {
        let length = bytes
            .length()
            .map_err(|source| ProbeError::Read { offset: 0, source })?;
        Ok(Self {
            bytes,
            length: Some(length),
            visible: length,
            budget: Cell::new(budget),
        })
    }

    /// The beginning of something that is `length` bytes long, where that is known.
    pub(crate) fn beginning(prefix: &'a Vec<u8>, length: Option<u64>, budget: u64) -> Self {
        Self {
            bytes: prefix,
            length,
            visible: prefix.len() as u64,
            budget: Cell::new(budget),
        }
    }

    /// Bytes in it; larger than any file where that is not known.
    pub(crate) fn len(&self) -> u64 {
        self.length.unwrap_or(UNKNOWN)
    }

    /// Bytes in it, where known.
    pub(crate) fn known_len(&self) -> Option<u64> {
        self.length
    }

    /// Its length in whole sectors: what a guest sees of a file that is given to it as it is.
    pub(crate) fn sectors(&self) -> Option<u64> {
        self.length
            .and_then(|length| length.checked_next_multiple_of(512))
    }

    /// That something of `size` bytes at `offset` lies inside.
    pub(crate) fn contains(&self, offset: u64, size: u64) -> Examined {
        let needed = offset.saturating_add(size);
        if needed > self.len() {
            return Err(Trouble::Short { needed });
        }
        Ok(())
    }

    /// Exactly the bytes asked for.
    pub(crate) fn read(&self, offset: u64, size: usize) -> Examined<Vec<u8>> {
        self.contains(offset, size as u64)?;
        let mut buffer = vec![0; size];
        self.fill(offset, &mut buffer)?;
        Ok(buffer)
    }

    /// Exactly the bytes asked for, of a size known when this was written.
    pub(crate) fn array<const N: usize>(&self, offset: u64) -> Examined<[u8; N]> {
        let mut buffer = [0; N];
        self.fill(offset, &mut buffer)?;
        Ok(buffer)
    }

    /// Whether `magic` stands at `offset`. Beyond the end nothing does.
    pub(crate) fn has(&self, offset: u64, magic: &[u8]) -> Result<bool, ProbeError> {
        match self.read(offset, magic.len()) {
            Ok(bytes) => Ok(bytes == magic),
            Err(Trouble::Read(error)) => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Reads a table of `entries` numbers of `width` bytes, a piece at a time, and calls `visit` with
    /// each entry's index and bytes.
    pub(crate) fn table(
        &self,
        offset: u64,
        entries: u64,
        width: usize,
        mut visit: impl FnMut(u64, &[u8]) -> Examined,
    ) -> Examined {
        const PIECE: u64 = 8192;
        let mut index = 0;
        while index < entries {
            let count = (entries - index).min(PIECE);
            let at = index
                .checked_mul(width as u64)
                .and_then(|distance| offset.checked_add(distance))
                .ok_or(Trouble::Short { needed: u64::MAX })?;
            let piece = self.read(at, count as usize * width)?;
            for entry in piece.chunks_exact(width) {
                visit(index, entry)?;
                index += 1;
            }
        }
        Ok(())
    }

    fn fill(&self, offset: u64, mut buffer: &mut [u8]) -> Examined {
        let size = buffer.len() as u64;
        self.contains(offset, size)?;
        let needed = offset + size;
        if needed > self.visible {
            return Err(Trouble::Unseen);
        }
        self.pay(size.max(READ_PRICE))?;
        let mut at = offset;
        while !buffer.is_empty() {
            match self.bytes.read_at(buffer, at) {
                // The file was cut while it was being read.
                Ok(0) => return Err(Trouble::Short { needed }),
                Ok(count) => {
                    at += count as u64;
                    buffer = &mut buffer[count..];
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(Trouble::Read(ProbeError::Read { offset: at, source }));
                }
            }
        }
        Ok(())
    }

    fn pay(&self, price: u64) -> Examined {
        let left = self.budget.get().checked_sub(price).ok_or_else(|| {
            Damage::new(
                "its tables are larger than this host reads",
                "convert it to larger clusters: qemu-img convert -O qcow2 -o cluster_size=2M OLD NEW",
            )
        })?;
        self.budget.set(left);
        Ok(())
    }
}
