//! What SQLite reports, in the registry's words.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rusqlite::ErrorCode;

use crate::error::RegistryError;

/// The database file, for error messages.
#[derive(Clone)]
pub(super) struct Site(Arc<Path>);

impl Site {
    pub(super) fn new(path: &Path) -> Self {
        Self(Arc::from(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn io(&self, error: &io::Error) -> RegistryError {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => self.no_space(),
            _ => RegistryError::Io {
                path: self.0.to_path_buf(),
                reason: error.to_string(),
            },
        }
    }

    pub(super) fn sql(&self, error: &rusqlite::Error) -> RegistryError {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => self.no_space(),
            // Our statements are fixed and correct: an error in one, or a constraint that does not
            // hold, comes from tables that are not as we made them.
            Some(
                ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::Unknown
                | ErrorCode::ConstraintViolation,
            ) => self.corrupt(error.to_string()),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => RegistryError::Busy {
                path: self.0.to_path_buf(),
            },
            Some(_) => RegistryError::Io {
                path: self.0.to_path_buf(),
                reason: error.to_string(),
            },
            // Not from SQLite itself: a row that does not have the form that we wrote.
            None => self.corrupt(error.to_string()),
        }
    }

    pub(super) fn corrupt(&self, reason: impl Into<String>) -> RegistryError {
        let (path, backup) = (self.path(), backup_path(self.path()));
        let aside = "Stop Kinglet and move the file (with its -wal and -shm) aside";
        let remedy = if backup.exists() {
            format!(
                "{aside}, then copy {} to {}",
                backup.display(),
                path.display()
            )
        } else {
            format!("{aside}, then restore it from your own backup, or start with an empty one")
        };
        RegistryError::Corrupt {
            path: path.to_path_buf(),
            reason: reason.into(),
            remedy,
        }
    }

    fn no_space(&self) -> RegistryError {
        RegistryError::NoSpace {
            path: self.0.to_path_buf(),
        }
    }
}

/// `registry.db` → `registry.backup.db`.
pub(super) fn backup_path(path: &Path) -> PathBuf {
    path.with_extension("backup.db")
}
