//! A disk with a write cache that a power cut empties.
//!
//! Killing QEMU is not a power cut: what the guest wrote without flushing is in this machine's page
//! cache and survives. So this disk keeps what is not flushed in the memory of the test, sector by
//! sector, and at the cut only some of it, chosen by dice, reaches the file, in no order. That is what
//! a real disk may do between two flushes, and all that it may do.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::nbd::{self, Disk};
use crate::dice::Dice;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// A disk behind a socket, for one machine at a time.
#[derive(Debug)]
pub struct VolatileDisk {
    folder: TempDir,
    cache: Arc<Mutex<Cache>>,
    server: Option<JoinHandle<()>>,
}

/// How much a power cut took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// Sectors that were written and not flushed.
    pub unflushed: usize,
    /// How many of them are lost.
    pub lost: usize,
}

impl VolatileDisk {
    /// A disk whose lasting part is `file`.
    pub fn new(file: &Path) -> Result<Self> {
        let lasting = File::options().read(true).write(true).open(file)?;
        let length = lasting.metadata()?.len();
        let cache = Arc::new(Mutex::new(Cache {
            lasting,
            length,
            unflushed: BTreeMap::new(),
        }));
        let folder = tempfile::Builder::new().prefix("kinglet-disk-").tempdir()?;
        Ok(Self {
            folder,
            cache,
            server: None,
        })
    }

    /// Where it is served.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("nbd")
    }

    /// Makes it ready for the next machine, which is started after this.
    pub fn serve(&mut self) -> Result<()> {
        let _ = std::fs::remove_file(self.socket());
        let listener = UnixListener::bind(self.socket())?;
        let cache = Arc::clone(&self.cache);
        self.server = Some(std::thread::spawn(move || {
            // A machine that goes away in the middle of a request is what this is about.
            if let Ok((stream, _)) = listener.accept() {
                let _ = nbd::serve(stream, &mut Shared(cache));
            }
        }));
        Ok(())
    }

    /// Cuts the power: of what was not flushed, each sector lasts with a chance that is rolled too.
    /// The machine must have ended.
    pub fn cut(&mut self, dice: &mut Dice) -> Result<Lost> {
        self.join()?;
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let chance = dice.roll(101);
        let unflushed = std::mem::take(&mut cache.unflushed);
        let mut lost = 0;
        for (sector, bytes) in &unflushed {
            if dice.roll(100) < chance {
                cache
                    .lasting
                    .write_all_at(&bytes[..], sector * SECTOR as u64)?;
            } else {
                lost += 1;
            }
        }
        Ok(Lost {
            unflushed: unflushed.len(),
            lost,
        })
    }

    /// Keeps all that was written, as when a machine is switched off and its disk is not.
    pub fn settle(&mut self) -> Result<()> {
        self.join()?;
        Ok(Shared(Arc::clone(&self.cache)).flush()?)
    }

    fn join(&mut self) -> Result<()> {
        let server = self.server.take().context("the disk was not in use")?;
        server
            .join()
            .map_err(|_| anyhow::anyhow!("the disk's server panicked"))
    }
}

#[derive(Debug)]
struct Cache {
    lasting: File,
    length: u64,
    unflushed: BTreeMap<u64, Box<[u8; SECTOR]>>,
}

/// The cache as the server has it: locked for each request, so that nothing is half done at the cut.
struct Shared(Arc<Mutex<Cache>>);

impl Shared {
    fn within<T>(
        &self,
        offset: u64,
        length: usize,
        act: impl FnOnce(&mut Cache) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let aligned = offset.is_multiple_of(SECTOR as u64) && length.is_multiple_of(SECTOR);
        let end = offset.checked_add(length as u64);
        if !aligned || end.is_none_or(|end| end > cache.length) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        act(&mut cache)
    }
}

impl Disk for Shared {
    fn length(&self) -> u64 {
        let cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        cache.length
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.within(offset, bytes.len(), |cache| {
            cache.lasting.read_exact_at(bytes, offset)?;
            let first = offset / SECTOR as u64;
            let sectors = first..first + (bytes.len() / SECTOR) as u64;
            for (sector, newer) in cache.unflushed.range(sectors) {
                let at = usize::try_from(sector - first).map_err(io::Error::other)? * SECTOR;
                bytes[at..at + SECTOR].copy_from_slice(&newer[..]);
            }
            Ok(())
        })
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.within(offset, bytes.len(), |cache| {
            let (sectors, _) = bytes.as_chunks::<SECTOR>();
            for (sector, bytes) in (offset / SECTOR as u64..).zip(sectors) {
                cache.unflushed.insert(sector, Box::new(*bytes));
            }
            Ok(())
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut cache = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (sector, bytes) in std::mem::take(&mut cache.unflushed) {
            cache
                .lasting
                .write_all_at(&bytes[..], sector * SECTOR as u64)?;
        }
        Ok(())
    }
}
