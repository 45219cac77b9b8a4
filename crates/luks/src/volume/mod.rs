//! The data of an unlocked container as a plain block device: any byte offset, any length.

mod parallel;

use std::io;
use std::num::NonZeroUsize;
use std::sync::{PoisonError, RwLock};

use crate::cipher::{IV_SECTOR, SectorCipher};
use crate::error::Error;
use crate::metadata::Segment;
use crate::secret::Secret;
use crate::storage::Storage;

/// Bytes that are encrypted aside and written at once.
const WRITE_STEP: usize = 4 << 20;

/// An unlocked container's data.
///
/// Reads and writes may come from several threads at once. A write that begins or ends within a
/// sector reads that sector first; it is kept apart from other writes meanwhile, so that none of
/// them is lost. Such a write that is cut off by a crash may leave its first and last sector
/// unreadable: neighbours of the written bytes are lost with it, as on a disk with sectors of that
/// size.
#[derive(Debug)]
pub struct Volume<S> {
    storage: S,
    cipher: SectorCipher,
    offset: u64,
    length: u64,
    iv_tweak: u64,
    threads: NonZeroUsize,
    /// Whole sectors are written under a read lock, parts of sectors under the write lock.
    writers: RwLock<()>,
}

impl<S: Storage> Volume<S> {
    /// The data of `segment` on `storage` under the volume key `key`, which is not proven here: a
    /// wrong one reads noise. The way for data apart from its header; else use
    /// [`crate::Container::into_volume`].
    ///
    /// # Errors
    /// [`Error::WrongKey`] when the key's length does not fit; [`Error::Unsupported`] when the storage
    /// ends before the data does.
    pub fn new(storage: S, segment: &Segment, key: &Secret) -> Result<Self, Error> {
        let cipher = SectorCipher::new(segment.cipher, key, segment.sector_size as usize)
            .ok_or(Error::WrongKey)?;
        let length = data_length(&storage, segment)?;
        Ok(Self {
            storage,
            cipher,
            offset: segment.offset,
            length,
            iv_tweak: segment.iv_tweak,
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            writers: RwLock::new(()),
        })
    }

    /// Uses at most this many processors for one call. All, unless said otherwise.
    #[must_use]
    pub fn with_threads(self, threads: NonZeroUsize) -> Self {
        Self { threads, ..self }
    }

    /// Bytes of plain data.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Bytes that are encrypted as one. Reads and writes of whole sectors are the fast ones.
    #[must_use]
    pub fn sector_size(&self) -> usize {
        self.cipher.sector_size()
    }

    /// The storage beneath, with header and encrypted data.
    #[must_use]
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// Gives the storage back.
    #[must_use]
    pub fn into_storage(self) -> S {
        self.storage
    }

    /// Fills `buffer` with plain data from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` when fewer bytes are there; else what reading said.
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.check_range(buffer.len(), offset)?;
        let (head, rest) = buffer.split_at_mut(self.head(offset, buffer.len()));
        let (whole, tail) = rest.split_at_mut(self.whole(rest.len()));
        let whole_at = offset + head.len() as u64;
        self.read_part(head, offset)?;
        self.read_whole(whole, whole_at)?;
        self.read_part(tail, whole_at + whole.len() as u64)
    }

    /// Encrypts `data` and writes it at `offset`.
    ///
    /// # Errors
    /// `WriteZero` when that is beyond the end, and nothing is written then; else what reading or
    /// writing said.
    pub fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.check_range(data.len(), offset)
            .map_err(|_| io::ErrorKind::WriteZero)?;
        let (head, rest) = data.split_at(self.head(offset, data.len()));
        let (whole, tail) = rest.split_at(self.whole(rest.len()));
        let whole_at = offset + head.len() as u64;
        self.write_part(head, offset)?;
        self.write_whole(whole, whole_at)?;
        self.write_part(tail, whole_at + whole.len() as u64)
    }

    /// As [`Volume::write_all_at`] for whole sectors, without copying them: afterwards `data` holds
    /// what was written, encrypted. For streams and block devices that own their buffers.
    ///
    /// # Errors
    /// `InvalidInput` when `offset` or the length is no multiple of the sector size, and as
    /// [`Volume::write_all_at`]; `data` is unchanged then unless writing failed.
    pub fn write_sectors_in_place(&self, data: &mut [u8], offset: u64) -> io::Result<()> {
        self.check_range(data.len(), offset)
            .map_err(|_| io::ErrorKind::WriteZero)?;
        let size = self.sector_size();
        if !data.len().is_multiple_of(size) || !offset.is_multiple_of(size as u64) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let _shared = self.writers.read().unwrap_or_else(PoisonError::into_inner);
        self.encrypt_and_write(data, offset)
    }

    /// Returns when everything written before is on the medium.
    ///
    /// # Errors
    /// What the system said.
    pub fn sync(&self) -> io::Result<()> {
        self.storage.sync()
    }

    fn check_range(&self, length: usize, offset: u64) -> io::Result<()> {
        match offset.checked_add(length as u64) {
            Some(end) if end <= self.length => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// How many of `length` bytes from `offset` belong to a sector that begins before them.
    fn head(&self, offset: u64, length: usize) -> usize {
        let within = (offset % self.sector_size() as u64) as usize;
        let head = if within == 0 {
            0
        } else {
            self.sector_size() - within
        };
        head.min(length)
    }

    fn whole(&self, length: usize) -> usize {
        length / self.sector_size() * self.sector_size()
    }

    fn read_whole(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        if buffer.is_empty() {
            return Ok(());
        }
        self.storage.read_exact_at(buffer, self.offset + offset)?;
        let (cipher, first) = (&self.cipher, self.vector(offset));
        parallel::each_part(buffer, self.sector_size(), self.threads, |part, within| {
            cipher.decrypt(first.wrapping_add(within / IV_SECTOR), part);
        });
        Ok(())
    }

    /// Bytes within one sector.
    fn read_part(&self, part: &mut [u8], offset: u64) -> io::Result<()> {
        if part.is_empty() {
            return Ok(());
        }
        let (mut sector, start, within) = self.sector_around(offset);
        self.read_whole(&mut sector, start)?;
        part.copy_from_slice(&sector[within..within + part.len()]);
        Ok(())
    }

    fn write_whole(&self, data: &[u8], offset: u64) -> io::Result<()> {
        let _shared = self.writers.read().unwrap_or_else(PoisonError::into_inner);
        let mut buffer = vec![0; data.len().min(WRITE_STEP)];
        let mut at = offset;
        for step in data.chunks(WRITE_STEP) {
            let buffer = &mut buffer[..step.len()];
            buffer.copy_from_slice(step);
            self.encrypt_and_write(buffer, at)?;
            at += step.len() as u64;
        }
        Ok(())
    }

    /// Bytes within one sector.
    fn write_part(&self, part: &[u8], offset: u64) -> io::Result<()> {
        if part.is_empty() {
            return Ok(());
        }
        let _alone = self.writers.write().unwrap_or_else(PoisonError::into_inner);
        let (mut sector, start, within) = self.sector_around(offset);
        self.read_whole(&mut sector, start)?;
        sector[within..within + part.len()].copy_from_slice(part);
        self.encrypt_and_write(&mut sector, start)
    }

    fn encrypt_and_write(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let (cipher, first) = (&self.cipher, self.vector(offset));
        parallel::each_part(buffer, self.sector_size(), self.threads, |part, within| {
            cipher.encrypt(first.wrapping_add(within / IV_SECTOR), part);
        });
        self.storage.write_all_at(buffer, self.offset + offset)
    }

    /// Room for the sector around `offset`, where it begins, and where in it `offset` is.
    fn sector_around(&self, offset: u64) -> (Vec<u8>, u64, usize) {
        let size = self.sector_size();
        let within = offset % size as u64;
        (vec![0; size], offset - within, within as usize)
    }

    /// The vector of the sector at `offset`, which is a multiple of the sector size.
    fn vector(&self, offset: u64) -> u64 {
        self.iv_tweak.wrapping_add(offset / IV_SECTOR)
    }
}

/// The plain data, for whatever takes storage: an image format within the container.
impl<S: Storage> Storage for Volume<S> {
    fn length(&self) -> io::Result<u64> {
        Ok(self.length)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        Volume::read_exact_at(self, buffer, offset)
    }

    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        Volume::write_all_at(self, data, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.storage.sync()
    }
}

/// Whole sectors from the segment's beginning to its end, or that of the storage.
fn data_length(storage: &impl Storage, segment: &Segment) -> Result<u64, Error> {
    let length = storage
        .length()
        .map_err(Error::io("finding the length of the container"))?;
    let available = length.checked_sub(segment.offset);
    let sector = u64::from(segment.sector_size);
    match (available, segment.size) {
        (Some(available), None) => Ok(available / sector * sector),
        (Some(available), Some(size)) if size <= available => Ok(size),
        _ => Err(Error::Unsupported(format!(
            "the file ends at byte {length}, before the end of its data; it was cut off"
        ))),
    }
}
