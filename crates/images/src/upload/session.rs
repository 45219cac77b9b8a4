//! Bytes of an upload on their way to disk. Blocking.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use kinglet_model::Digest;
use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::record::Record;
use crate::kernel::begin_writeback;

/// Runs of zeros of this size, at a multiple of it, are not written: they become holes.
const HOLE: usize = 64 << 10;

/// After so many bytes they are synced to disk while more come: a power cut loses no more.
pub(crate) const SYNC: u64 = 32 << 20;

/// After so many bytes the kernel begins to write them, so that a sync finds little left.
const WRITEBACK: u64 = 4 << 20;

/// What the bytes of one request must hash to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checksum {
    /// SHA-256.
    Sha256([u8; 32]),
    /// SHA-1, which is enough against a broken line.
    Sha1([u8; 20]),
}

/// An upload that is being written.
pub(crate) struct Session {
    data: File,
    record_file: File,
    /// What is on disk for certain.
    durable: Record,
    /// SHA-256 of all that was written.
    hash: Sha256,
    /// Bytes that were written.
    pub(crate) written: u64,
    /// Bytes that the kernel was told to begin with.
    begun: u64,
    request: Option<Request>,
}

/// The hash of one request's bytes, which count only if it is right.
enum Request {
    Sha256(Sha256, [u8; 32]),
    Sha1(Sha1, [u8; 20]),
}

impl Session {
    /// Goes on from what is durable. With a checksum, nothing counts before it was compared.
    ///
    /// # Errors
    /// The system's, or that the record is damaged.
    pub(crate) fn open(
        (data, record_file): (File, File),
        checksum: Option<Checksum>,
    ) -> io::Result<Self> {
        let durable = Record::read(&record_file)?;
        let request = checksum.map(|checksum| match checksum {
            Checksum::Sha256(wanted) => Request::Sha256(Sha256::new(), wanted),
            Checksum::Sha1(wanted) => Request::Sha1(Sha1::new(), wanted),
        });
        Ok(Self {
            hash: durable.hash.clone(),
            written: durable.offset,
            begun: durable.offset,
            data,
            record_file,
            durable,
            request,
        })
    }

    /// Bytes that are on disk for certain.
    pub(crate) const fn offset(&self) -> u64 {
        self.durable.offset
    }

    /// When the last of them came, in seconds since 1970.
    pub(crate) const fn touched(&self) -> u64 {
        self.durable.touched
    }

    /// SHA-256 of the bytes on disk.
    pub(crate) fn digest(&self) -> Digest {
        self.durable.digest()
    }

    /// The open file.
    pub(crate) const fn file(&self) -> &File {
        &self.data
    }

    /// Writes the next bytes, and syncs now and then.
    ///
    /// # Errors
    /// The system's; the bytes do not count then.
    pub(crate) fn write(&mut self, bytes: &[u8], now: u64) -> io::Result<()> {
        let mut at = self.written;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (run, zeros) = next_run(rest, at);
            let (head, tail) = rest.split_at(run);
            if !(zeros && punch(&self.data, at, run as u64)?) {
                self.data.write_all_at(head, at)?;
            }
            at += run as u64;
            rest = tail;
        }
        self.hash.update(bytes);
        match &mut self.request {
            Some(Request::Sha256(hash, _)) => hash.update(bytes),
            Some(Request::Sha1(hash, _)) => hash.update(bytes),
            None => {}
        }
        self.written = at;
        if self.written - self.begun >= WRITEBACK {
            begin_writeback(&self.data, self.begun, self.written - self.begun);
            self.begun = self.written;
        }
        if self.request.is_none() && self.written - self.durable.offset >= SYNC {
            self.sync(now)?;
        }
        Ok(())
    }

    /// Makes durable what was written.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn sync(&mut self, now: u64) -> io::Result<()> {
        if self.written == self.durable.offset {
            return Ok(());
        }
        // The bytes before the word that they are there.
        self.data.sync_data()?;
        let mut next = self.durable.clone();
        next.offset = self.written;
        next.touched = now;
        next.hash = self.hash.clone();
        next.write(&self.record_file)?;
        self.durable = next;
        Ok(())
    }

    /// Whether the request's bytes are what it said. From then on they count.
    pub(crate) fn request_is_right(&mut self) -> bool {
        match self.request.take() {
            None => true,
            Some(Request::Sha256(hash, wanted)) => hash.finalize()[..] == wanted,
            Some(Request::Sha1(hash, wanted)) => hash.finalize()[..] == wanted,
        }
    }

    /// Whether a checksum is still to be compared.
    pub(crate) const fn is_unproven(&self) -> bool {
        self.request.is_some()
    }

    /// Gives the file its length (a hole at its end does not) and makes it durable.
    ///
    /// # Errors
    /// The system's.
    pub(crate) fn complete(&self, length: u64) -> io::Result<()> {
        self.data.set_len(length)?;
        self.data.sync_all()
    }
}

/// How long the run at the beginning is that is to be written, or that is all zeros.
fn next_run(bytes: &[u8], at: u64) -> (usize, bool) {
    let mut length = 0;
    let mut kind = None;
    while length < bytes.len() {
        let within = ((at + length as u64) % HOLE as u64) as usize;
        let end = bytes.len().min(length + HOLE - within);
        let block = &bytes[length..end];
        let zeros = block.len() == HOLE && is_zero(block);
        if *kind.get_or_insert(zeros) != zeros {
            break;
        }
        length = end;
    }
    (length, kind == Some(true))
}

fn is_zero(block: &[u8]) -> bool {
    // Each byte is the one before it, and the first is zero: a comparison that stops early.
    block.first() == Some(&0) && block[..block.len() - 1] == block[1..]
}

/// Makes a hole of what was reserved; `false` where the file system cannot.
fn punch(file: &File, at: u64, length: u64) -> io::Result<bool> {
    // Beyond the end of a file ext4 does nothing, and what is reserved there stays so.
    if file.metadata()?.len() < at + length {
        file.set_len(at + length)?;
    }
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    match fallocate(file, flags, at, length) {
        Ok(()) => Ok(true),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_aligned_blocks_of_zeros_are_holes() {
        let zeros = vec![0; 4 * HOLE];
        assert_eq!(next_run(&zeros, 0), (4 * HOLE, true));
        assert_eq!(next_run(&zeros, 1), (HOLE - 1, false));
        assert_eq!(next_run(&zeros[..HOLE - 1], 0), (HOLE - 1, false));
        let mut mixed = zeros;
        mixed[HOLE] = 1;
        assert_eq!(next_run(&mixed, 0), (HOLE, true));
        assert_eq!(next_run(&mixed[HOLE..], 0), (HOLE, false));
        mixed[2 * HOLE - 1] = 0;
        assert!(!is_zero(&mixed[HOLE..2 * HOLE]));
    }

    #[test]
    fn bytes_with_holes_read_back_and_take_no_space() {
        use std::os::unix::fs::MetadataExt;
        let data = tempfile::tempfile().unwrap();
        let record = tempfile::tempfile().unwrap();
        Record::new(0).write(&record).unwrap();
        fallocate(&data, FallocateFlags::KEEP_SIZE, 0, 3 << 20).unwrap();
        let mut bytes = vec![0; 3 << 20];
        bytes[5] = 1;
        bytes[(2 << 20) + 77] = 2;
        let files = (data.try_clone().unwrap(), record.try_clone().unwrap());
        let mut session = Session::open(files, None).unwrap();
        let (first, second) = bytes.split_at(1_000_003);
        session.write(first, 1).unwrap();
        session.sync(1).unwrap();
        drop(session);
        let mut session = Session::open((data.try_clone().unwrap(), record), None).unwrap();
        assert_eq!(session.offset(), first.len() as u64);
        session.write(second, 2).unwrap();
        session.sync(2).unwrap();
        session.complete(bytes.len() as u64).unwrap();
        let mut read = vec![1; bytes.len()];
        data.read_exact_at(&mut read, 0).unwrap();
        assert!(read == bytes);
        assert_eq!(
            session.digest(),
            Digest::from_bytes(Sha256::digest(&bytes).into())
        );
        assert!(data.metadata().unwrap().blocks() * 512 < 1 << 20);
    }
}
