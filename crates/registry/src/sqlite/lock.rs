//! The lock that keeps a second process out. The file stays when the lock is released: removing it
//! would let two in.

use std::{
    fs::File,
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::{fault::Site, file};
use crate::error::RegistryError;

/// How long a lock that is held is waited for. A process that was killed while it started another
/// leaves the lock with that one until it has become the other program.
const PATIENCE: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_millis(5);

/// Held from [`Lock::take`] until it is dropped.
pub(super) struct Lock(File);

impl Lock {
    pub(super) fn take(site: &Site) -> Result<Self, RegistryError> {
        let path = site.path().with_extension("lock");
        let file = file::private()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let file = file.map_err(|error| Site::new(&path).io(&error))?;
        let until = Instant::now() + PATIENCE;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self(file)),
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) if Instant::now() < until => thread::sleep(PAUSE),
                Err(Errno::WOULDBLOCK) => {
                    return Err(RegistryError::Busy {
                        path: site.path().to_path_buf(),
                    });
                }
                Err(error) => return Err(Site::new(&path).io(&error.into())),
            }
        }
    }
}

impl Drop for Lock {
    /// Releases it for all copies of the descriptor. Closing alone would leave it with a process
    /// that was just forked and has not yet executed its program.
    fn drop(&mut self) {
        if let Err(error) = flock(&self.0, FlockOperation::Unlock) {
            tracing::warn!(%error, "the registry's lock is released only with the process");
        }
    }
}
