//! What switches the swap file on when the host boots: found, and kept at exactly one entry.
//!
//! An entry is ours when it names a file of ours, whatever else it says; so a person's edits of it, or
//! a copy left by another way of booting, never make two. Everything else stays byte for byte.

mod lines;
mod systemd;

use std::io;
use std::path::{Path, PathBuf};

use kinglet_model::memory::BootManager;
use thiserror::Error;

use self::lines::Table;
use crate::atomic;
use crate::folder::Folder;
use crate::swap::Slot;

/// What is kept over a reboot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootEntry {
    /// The swap file.
    pub file: Slot,
    /// Its priority, 0 to 32767.
    pub priority: Option<u16>,
}

/// The boot configuration of the host, or of a system under another root.
#[derive(Debug, Clone)]
pub struct Boot {
    root: PathBuf,
}

/// Why the boot configuration could not be read or changed.
#[derive(Debug, Error)]
pub enum BootError {
    /// The system said no.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// BusyBox's `inittab` has no way to quote.
    #[error(
        "{0} cannot be written into /etc/inittab, which has no way to quote it; choose a path of \
         letters, digits and . _ + - only"
    )]
    Unwritable(Slot),
    /// OpenWrt keeps its swap in a database of its own, and takes other lines of `inittab` amiss.
    #[error("this host boots with OpenWrt's procd, which reads neither fstab nor inittab for swap")]
    Procd,
}

impl BootError {
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

impl Boot {
    /// The boot configuration under a root: `/` for this host.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// What it boots with.
    #[must_use]
    pub fn manager(&self) -> BootManager {
        if self.root.join("run/systemd/system").is_dir() {
            return BootManager::Systemd;
        }
        match self.load(Table::Inittab) {
            Ok(Some(text)) if lines::is_busybox(&text) => BootManager::Inittab,
            _ => BootManager::Fstab,
        }
    }

    /// Whether an entry can carry a priority here. Where not, Kinglet gives the file its priority when
    /// it starts itself.
    #[must_use]
    pub fn keeps_priority(&self) -> bool {
        self.manager() != BootManager::Inittab
    }

    /// The entries of these files, wherever they are kept. More than one is repaired by [`Self::set`].
    ///
    /// # Errors
    /// Where a file of the boot configuration cannot be read.
    pub fn entries(&self, ours: &[Slot]) -> Result<Vec<(BootManager, BootEntry)>, BootError> {
        let mut entries = Vec::new();
        for table in Table::ALL {
            let text = self.load(table)?.unwrap_or_default();
            let found = lines::entries(table, &text, ours).into_iter();
            entries.extend(found.map(|entry| (table.manager(), entry)));
        }
        let units = systemd::entries(&self.root, ours)?;
        entries.extend(units.into_iter().map(|entry| (BootManager::Systemd, entry)));
        Ok(entries)
    }

    /// Whether this entry can be written for what the host boots with.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, entry: &BootEntry) -> Result<(), BootError> {
        if self.root.join("sbin/procd").exists() {
            return Err(BootError::Procd);
        }
        if self.manager() == BootManager::Inittab && !lines::fits_inittab(&entry.file) {
            return Err(BootError::Unwritable(entry.file.clone()));
        }
        Ok(())
    }

    /// Makes `entry` the only one of these files, or leaves none. The new one is written before an
    /// old one elsewhere goes, so that a power cut leaves one too many rather than none.
    ///
    /// # Errors
    /// Where a file cannot be read or written. What was done until then stays; the same call again
    /// completes it.
    pub fn set(&self, ours: &[Slot], entry: Option<&BootEntry>) -> Result<(), BootError> {
        let manager = self.manager();
        if let Some(entry) = entry {
            self.check(entry)?;
        }
        let here = |kind| entry.filter(|_| manager == kind);
        if let Some(entry) = here(BootManager::Systemd) {
            systemd::write(&self.root, entry)?;
        }
        let mut tables = Table::ALL;
        tables.sort_by_key(|table| table.manager() != manager);
        for table in tables {
            self.edit(table, ours, here(table.manager()))?;
        }
        let kept = here(BootManager::Systemd).map(|entry| &entry.file);
        systemd::remove(&self.root, ours, kept)
    }

    fn edit(&self, table: Table, ours: &[Slot], new: Option<&BootEntry>) -> Result<(), BootError> {
        let old = self.load(table)?;
        if old.is_none() && new.is_none() {
            return Ok(());
        }
        let old = old.unwrap_or_default();
        let line = new.map(|entry| lines::line(table, entry, &self.swapon()));
        let text = lines::edit(table, &old, ours, line.as_deref());
        if text == old {
            return Ok(());
        }
        let path = self.root.join(table.path());
        self.etc()
            .and_then(|etc| atomic::store(&etc, table.name(), &text))
            .map_err(BootError::io("write", &path))
    }

    fn load(&self, table: Table) -> Result<Option<Vec<u8>>, BootError> {
        let read = match self.etc() {
            Ok(etc) => atomic::load(&etc, table.name()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        read.map_err(BootError::io("read", &self.root.join(table.path())))
    }

    fn etc(&self) -> io::Result<Folder> {
        Folder::open(&self.root.join("etc"))
    }

    /// Where the booted system has `swapon`; a link into BusyBox counts, also where it leads nowhere
    /// from here.
    fn swapon(&self) -> String {
        [
            "sbin/swapon",
            "usr/sbin/swapon",
            "bin/swapon",
            "usr/bin/swapon",
        ]
        .into_iter()
        .find(|path| self.root.join(path).symlink_metadata().is_ok())
        .map_or_else(|| "/sbin/swapon".to_owned(), |path| format!("/{path}"))
    }

    /// Removes temporary files that a killed daemon left beside the files that it changes.
    pub(crate) fn sweep(&self) {
        for folder in ["etc", systemd::UNITS, systemd::WANTS] {
            // A folder that is not there has none; one that cannot be read is told when it is needed.
            if let Ok(folder) = Folder::open(&self.root.join(folder)) {
                let stale = folder.names().unwrap_or_default();
                for name in stale.iter().filter(|name| atomic::is_temporary(name)) {
                    let _ = folder.remove(name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
