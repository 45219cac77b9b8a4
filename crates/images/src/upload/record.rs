//! What is durable of an upload, beside its bytes: how many of them are on disk for certain, and the
//! state of their SHA-256, so that nothing has to be read again to go on.
//!
//! A record is a file of two slots that are written in turn. Each is one sector with a checksum: a
//! write that a power cut tears leaves the other.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use kinglet_model::Digest;
use sha2::digest::common::hazmat::{SerializableState, SerializedState};
use sha2::{Digest as _, Sha256};

const MAGIC: &[u8; 8] = b"KGUPLD01";
const SLOT: usize = 512;
const STATE: usize = 104;
/// Magic, sequence, offset, time, state; the checksum comes after.
const BODY: usize = 8 + 8 + 8 + 8 + STATE;

/// The durable state of an upload.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    sequence: u64,
    /// Bytes that are on disk for certain, from the first on.
    pub(crate) offset: u64,
    /// When the last of them came, in seconds since 1970.
    pub(crate) touched: u64,
    /// SHA-256 of these bytes, to be continued.
    pub(crate) hash: Sha256,
}

impl Record {
    /// Of an upload of which nothing has come.
    pub(crate) fn new(touched: u64) -> Self {
        Self {
            sequence: 0,
            offset: 0,
            touched,
            hash: Sha256::new(),
        }
    }

    /// SHA-256 of the bytes so far.
    pub(crate) fn digest(&self) -> Digest {
        Digest::from_bytes(self.hash.clone().finalize().into())
    }

    /// Reads the newer slot.
    ///
    /// # Errors
    /// The system's; `InvalidData` where neither slot is sound.
    pub(crate) fn read(file: &File) -> io::Result<Self> {
        let mut newest: Option<Self> = None;
        for number in 0..2 {
            let mut slot = [0; SLOT];
            match file.read_exact_at(&mut slot, number * SLOT as u64) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
                Err(error) => return Err(error),
            }
            if let Some(found) = Self::parse(&slot)
                && newest
                    .as_ref()
                    .is_none_or(|newest| newest.sequence < found.sequence)
            {
                newest = Some(found);
            }
        }
        newest.ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the record of what has come is damaged",
            )
        })
    }

    /// Writes it over the older slot; durable on return.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn write(&mut self, file: &File) -> io::Result<()> {
        self.sequence += 1;
        file.write_all_at(&self.slot(), self.sequence % 2 * SLOT as u64)?;
        file.sync_data()
    }

    fn slot(&self) -> [u8; SLOT] {
        let mut slot = [0; SLOT];
        let numbers = [self.sequence, self.offset, self.touched];
        slot[..8].copy_from_slice(MAGIC);
        for (field, number) in slot[8..].chunks_exact_mut(8).zip(numbers) {
            field.copy_from_slice(&number.to_le_bytes());
        }
        slot[BODY - STATE..BODY].copy_from_slice(&self.hash.serialize());
        let sum = Sha256::digest(&slot[..BODY]);
        slot[BODY..BODY + 32].copy_from_slice(&sum);
        slot
    }

    fn parse(slot: &[u8; SLOT]) -> Option<Self> {
        let sound = slot[..8] == *MAGIC && slot[BODY..BODY + 32] == *Sha256::digest(&slot[..BODY]);
        let number = |at: usize| {
            let bytes = slot[at..].first_chunk().copied();
            bytes.map(u64::from_le_bytes)
        };
        let state = SerializedState::<Sha256>::try_from(&slot[BODY - STATE..BODY]).ok()?;
        sound.then_some(Self {
            sequence: number(8)?,
            offset: number(16)?,
            touched: number(24)?,
            hash: Sha256::deserialize(&state).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_goes_on_where_it_was_and_a_torn_write_leaves_the_one_before() {
        let file = tempfile::tempfile().unwrap();
        let mut record = Record::new(7);
        record.write(&file).unwrap();
        record.hash.update(b"hello ");
        record.offset = 6;
        record.write(&file).unwrap();
        let mut read = Record::read(&file).unwrap();
        read.hash.update(b"world");
        assert_eq!((read.offset, read.touched), (6, 7));
        assert_eq!(
            read.digest(),
            Digest::from_bytes(Sha256::digest(b"hello world").into())
        );
        // The third write goes over the first slot, and only half of it gets there.
        read.offset = 11;
        let slot = read.slot();
        file.write_all_at(&slot[..60], SLOT as u64).unwrap();
        assert_eq!(Record::read(&file).unwrap().offset, 6);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        let file = tempfile::tempfile().unwrap();
        assert!(Record::read(&file).is_err());
        file.write_all_at(&[0xff; 2 * SLOT], 0).unwrap();
        assert!(Record::read(&file).is_err());
    }
}
