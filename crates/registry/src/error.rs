//! What can go wrong, said to a person: what was tried, why it failed, what to do.

use std::path::PathBuf;

use kinglet_model::Revision;
use thiserror::Error;

use crate::entry::{Key, LeaseId};

/// Why the registry could not be opened, read or written.
#[derive(Clone, Debug, Error)]
pub enum RegistryError {
    /// The file is not a registry, or is damaged. Nothing was changed.
    #[error("the registry {} cannot be used: {reason}. {remedy}", path.display())]
    Corrupt {
        /// The database file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What the person can do, as a sentence.
        remedy: String,
    },
    /// A later version wrote this file. Nothing was changed.
    #[error(
        "the registry {} has format {found}, this program knows up to {supported}; \
         start the newer program, or restore the backup made before the upgrade",
        path.display()
    )]
    TooNew {
        /// The database file.
        path: PathBuf,
        /// The format in the file.
        found: u32,
        /// The newest format this program can read.
        supported: u32,
    },
    /// Another process has the registry open.
    #[error(
        "the registry {} is in use by another process; stop that one first, \
         or give this one a data folder of its own",
        path.display()
    )]
    Busy {
        /// The database file.
        path: PathBuf,
    },
    /// The filesystem is full. The transaction was not made; later ones work when there is space.
    #[error(
        "the change was not saved: no space left for the registry {}; free some space and try again",
        path.display()
    )]
    NoSpace {
        /// The database file.
        path: PathBuf,
    },
    /// The operating system refused to read or write. A transaction that met this was not
    /// acknowledged and is not visible.
    #[error("the registry {} could not be read or written: {reason}", path.display())]
    Io {
        /// The file concerned.
        path: PathBuf,
        /// The reason in the system's words.
        reason: String,
    },
    /// The registry was closed while or before it was asked.
    #[error("the registry is closed, the program is ending")]
    Closed,
    /// The lease has expired, was revoked, or never existed.
    #[error("the lease {0} does not exist (any more); grant a new one")]
    NoLease(LeaseId),
    /// A time to live outside one millisecond to one year.
    #[error("a lease must live between one millisecond and one year")]
    BadTtl,
    /// A key that is empty, too long, or contains a control character.
    #[error("the registry key {key:?} is not allowed: {reason}")]
    BadKey {
        /// The key, shortened.
        key: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// One transaction changes the same key twice.
    #[error("one transaction changes the key {0} twice; keep only the last change")]
    KeyTwice(Key),
    /// A value or a transaction over its bound.
    #[error("the {what} has a size of {size}, the registry takes at most {limit}")]
    TooLarge {
        /// "value of KEY", "transaction (operations)", …
        what: String,
        /// Its size, in bytes or operations.
        size: usize,
        /// The bound, in the same unit.
        limit: usize,
    },
    /// An object that cannot be put into JSON.
    #[error("the object {key} cannot be stored: {reason}")]
    Unwritable {
        /// Its key.
        key: Key,
        /// What the serializer said.
        reason: String,
    },
    /// Compaction up to a revision that does not exist yet.
    #[error("the registry is at revision {current}, it cannot be compacted up to {asked}")]
    FutureRevision {
        /// The revision asked for.
        asked: Revision,
        /// The current one.
        current: Revision,
    },
}

/// Why a transaction was not made. It changed nothing.
#[derive(Clone, Debug, Error)]
pub enum TxnError {
    /// A requirement did not hold.
    #[error("the entry {key} was changed by someone else meanwhile; read it again and retry")]
    Conflict {
        /// The key whose requirement failed.
        key: Key,
        /// The revision at which the key was last changed, `None` when it is absent.
        found: Option<Revision>,
    },
    /// The registry could not do it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// Why a watch ended.
#[derive(Clone, Debug, Error)]
pub enum WatchError {
    /// The history from the wanted revision is gone: read everything again, then watch from there.
    #[error(
        "the history up to revision {compacted} is no longer kept; read the present state and watch from it"
    )]
    Compacted {
        /// The last revision that is gone.
        compacted: Revision,
    },
    /// The registry could not be read.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}
