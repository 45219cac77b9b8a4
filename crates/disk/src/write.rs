//! Writing at a place: what a conversion needs of the file that it makes, so that a caller can put
//! something else in its place (an encrypted container's plain data) and tests a disk that is full.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;

use rustix::fs::{Advice, FallocateFlags, fadvise, fallocate};

static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Something that is written at offsets.
pub trait WriteAt: Sync {
    /// Writes all of `bytes` at `offset`.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes `length` bytes from `offset` zeros. Whoever can makes them a hole.
    fn write_zeros(&self, offset: u64, length: u64) -> io::Result<()> {
        let (mut at, mut rest) = (offset, length);
        while rest > 0 {
            let part = rest.min(ZEROS.len() as u64);
            self.write_all_at(&ZEROS[..part as usize], at)?;
            at += part;
            rest -= part;
        }
        Ok(())
    }

    /// Everything was written: it ends at `length`. Where the length is fixed, there is nothing to do.
    fn set_length(&self, length: u64) -> io::Result<()>;

    /// Returns when everything written before is on the medium.
    fn sync(&self) -> io::Result<()>;

    /// These bytes will not be written again: bringing them to the medium can begin.
    fn settled(&self, offset: u64, length: u64) {
        let _ = (offset, length);
    }
}

impl WriteAt for File {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn write_zeros(&self, offset: u64, length: u64) -> io::Result<()> {
        let there = self.metadata()?.len().saturating_sub(offset).min(length);
        if there == 0 {
            // Beyond the end: `set_length` makes the hole.
            return Ok(());
        }
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if fallocate(self, hole, offset, there).is_ok() {
            return Ok(());
        }
        let (mut at, mut rest) = (offset, there);
        while rest > 0 {
            let part = rest.min(ZEROS.len() as u64);
            FileExt::write_all_at(self, &ZEROS[..part as usize], at)?;
            at += part;
            rest -= part;
        }
        Ok(())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }

    fn settled(&self, offset: u64, length: u64) {
        // Begins write-back, and drops what is written back already. Only advice.
        let _ = fadvise(self, offset, NonZeroU64::new(length), Advice::DontNeed);
    }
}
