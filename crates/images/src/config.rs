//! How the library is set up, and how it watches.

use std::path::PathBuf;
use std::time::Duration;

use crate::folder::Folder;
use crate::upload::UploadsConfig;

/// What the library is opened with.
#[derive(Debug, Clone)]
pub struct LibraryConfig {
    /// The watched folders. Names and places are unique, and none lies in another.
    pub folders: Vec<Folder>,
    /// Whether to let the kernel tell of changes (inotify). Without, folders are scanned every
    /// [`Self::poll`].
    pub events: bool,
    /// How often a folder is scanned where the kernel cannot tell of changes.
    pub poll: Duration,
    /// How long a file must be unchanged to count as arrived, where the kernel cannot tell whether
    /// somebody is writing to it.
    pub quiet: Duration,
    /// How uploads are kept.
    pub uploads: UploadsConfig,
}

impl LibraryConfig {
    /// These folders, watched as well as their filesystems allow.
    #[must_use]
    pub fn new(folders: Vec<Folder>) -> Self {
        Self {
            folders,
            events: true,
            poll: Duration::from_secs(3),
            quiet: Duration::from_secs(5),
            uploads: UploadsConfig::default(),
        }
    }
}

/// How a folder is being watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watching {
    /// The kernel tells of each change.
    Events,
    /// It is scanned every few seconds.
    Scans {
        /// Why the kernel cannot tell, and what to do.
        why: String,
    },
    /// It is not there or cannot be opened. It is tried again every few seconds.
    Unavailable {
        /// Why, and what to do.
        why: String,
    },
}

/// A folder and how it is being watched; for `doctor` and the host's page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FolderStatus {
    /// The folder's name.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// How it is watched.
    pub watching: Watching,
}
