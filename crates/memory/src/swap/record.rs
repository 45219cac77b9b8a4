//! The record of places that hold, or held, swap files of ours: one path a line. Written before a file
//! is made in a new place and cut after an old one is gone, so that no crash leaves a file that nobody
//! knows of.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::SwapPath;
use crate::atomic;
use crate::folder::Folder;
use crate::sys;

const PLACES: &str = "swap-places";
const LOCK: &str = "swap.lock";

/// The record, in a folder of Kinglet's own.
#[derive(Debug, Clone)]
pub(super) struct Record {
    folder: PathBuf,
}

impl Record {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The file, for messages.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(PLACES)
    }

    /// The recorded places, sorted. A line that is no path is passed over.
    pub(super) fn load(&self) -> io::Result<Vec<SwapPath>> {
        let text = match open(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            other => atomic::load(&other?, PLACES)?,
        };
        let text = String::from_utf8(text.unwrap_or_default()).map_err(io::Error::other)?;
        let mut places: Vec<SwapPath> = text
            .lines()
            .filter_map(|line| SwapPath::parse(line).ok())
            .collect();
        places.sort();
        places.dedup();
        Ok(places)
    }

    pub(super) fn store(&self, places: &[SwapPath]) -> io::Result<()> {
        let text: String = places.iter().map(|place| format!("{place}\n")).collect();
        fs::create_dir_all(&self.folder)?;
        atomic::store(&open(&self.folder)?, PLACES, text.as_bytes())
    }

    /// Removes temporary files that a killed daemon left here.
    pub(super) fn sweep(&self) -> io::Result<()> {
        sweep(&self.folder)
    }

    /// Keeps others, in this process and any other, from changing swap meanwhile. `None` where one
    /// does already. Released by dropping it, also by dying.
    pub(super) fn lock(&self) -> io::Result<Option<File>> {
        let file = self.lock_file()?;
        Ok(sys::try_lock(file.as_fd())?.then_some(file))
    }

    /// Whether swap is being changed.
    pub(super) fn is_locked(&self) -> io::Result<bool> {
        sys::is_locked(self.lock_file()?.as_fd())
    }

    fn lock_file(&self) -> io::Result<File> {
        fs::create_dir_all(&self.folder)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let path = self.folder.join(LOCK);
        Ok(rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)?.into())
    }
}

fn open(folder: &Path) -> io::Result<Folder> {
    Folder::open(folder)
}

/// Removes what a killed daemon left half made in a folder. Only under the lock.
pub(super) fn sweep(folder: &Path) -> io::Result<()> {
    let folder = match Folder::open(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for name in folder
        .names()?
        .iter()
        .filter(|name| atomic::is_temporary(name))
    {
        folder.remove(name)?;
    }
    Ok(())
}
