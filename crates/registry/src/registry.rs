//! The handle that the rest of the program holds.

use std::{fmt, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use kinglet_model::Revision;

use crate::{
    backend::Backend,
    entry::{Entry, Key, KeyRange, LeaseId, Page},
    error::{RegistryError, TxnError},
    live::Live,
    memory::MemoryBackend,
    sqlite::{Options, SqliteBackend},
    txn::{Committed, Expect, Txn},
    watch::Watch,
};

/// The most entries of one page.
pub const MAX_PAGE: usize = 1000;

const MIN_TTL: Duration = Duration::from_millis(1);
const MAX_TTL: Duration = Duration::from_secs(366 * 24 * 3600);

/// A revisioned key-value store. Clones are handles of the same store.
#[derive(Clone)]
pub struct Registry {
    backend: Arc<dyn Backend>,
    live: Arc<Live>,
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("revision", &self.current_revision())
            .finish()
    }
}

impl Registry {
    /// Opens the SQLite file, or creates it when it is absent. Blocks while it checks the file.
    ///
    /// Beside it lie `-wal` and `-shm` of SQLite, a lock file (`.lock` in place of `.db`), and a
    /// backup (`.backup.db`) renewed at most once a day.
    ///
    /// # Errors
    /// `Corrupt` or `TooNew` (nothing was changed), `Busy`, `NoSpace`, `Io`.
    pub fn open(path: &Path, options: Options) -> Result<Self, RegistryError> {
        Ok(Self::on(Arc::new(SqliteBackend::open(path, options)?)))
    }

    /// A registry that lives in memory and ends with its last handle. The reference that the
    /// durable one is tested against.
    #[must_use]
    pub fn in_memory() -> Self {
        Self::on(Arc::new(MemoryBackend::new()))
    }

    /// A registry on any backend.
    #[must_use]
    pub fn on(backend: Arc<dyn Backend>) -> Self {
        Self {
            backend,
            live: Arc::new(Live::new()),
        }
    }

    /// The newest durable revision; 0 when nothing was ever written.
    #[must_use]
    pub fn current_revision(&self) -> Revision {
        self.backend.current_revision()
    }

    /// The entry of one key, `None` when it is absent.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn get(&self, key: impl Into<Key>) -> Result<Option<Entry>, RegistryError> {
        self.backend.get(key.into()).await
    }

    /// Up to `limit` entries (at most [`MAX_PAGE`]) of a range, or of a prefix given as text, that
    /// come after the key `after`. A page also ends early when its values grow large; `more` says
    /// whether there is another.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn range(
        &self,
        range: impl Into<KeyRange>,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Page, RegistryError> {
        self.backend
            .range(range.into(), after.cloned(), limit.clamp(1, MAX_PAGE))
            .await
    }

    /// How many keys a range or prefix holds now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn count(&self, range: impl Into<KeyRange>) -> Result<u64, RegistryError> {
        self.backend.count(range.into()).await
    }

    /// Makes a transaction; returns when it is durable.
    ///
    /// # Errors
    /// `Conflict` when a requirement does not hold; otherwise why it could not be stored. In each
    /// case nothing was changed.
    pub async fn txn(&self, txn: Txn) -> Result<Committed, TxnError> {
        txn.check()?;
        self.backend.txn(txn).await
    }

    /// Replaces one value if it is as expected.
    ///
    /// # Errors
    /// As [`Registry::txn`].
    pub async fn compare_and_put(
        &self,
        key: impl Into<Key>,
        expect: Expect,
        value: impl Into<Bytes>,
    ) -> Result<Committed, TxnError> {
        let key = key.into();
        self.txn(Txn::new().require(&key, expect).put(&key, value))
            .await
    }

    /// Deletes one key if it is as expected.
    ///
    /// # Errors
    /// As [`Registry::txn`].
    pub async fn delete_if(
        &self,
        key: impl Into<Key>,
        expect: Expect,
    ) -> Result<Committed, TxnError> {
        let key = key.into();
        self.txn(Txn::new().require(&key, expect).delete(&key))
            .await
    }

    /// Creates a lease: keys put with it are deleted together, as one revision, when it was not
    /// kept alive for `ttl` (1 ms to a year). It survives a restart of the program, which starts
    /// its time anew.
    ///
    /// # Errors
    /// `BadTtl`, or why it could not be stored.
    pub async fn grant(&self, ttl: Duration) -> Result<LeaseId, RegistryError> {
        if !(MIN_TTL..=MAX_TTL).contains(&ttl) {
            return Err(RegistryError::BadTtl);
        }
        self.backend.grant(ttl).await
    }

    /// Starts a lease's time anew. Writes nothing to disk.
    ///
    /// # Errors
    /// `NoLease` when it has ended.
    pub async fn keep_alive(&self, lease: LeaseId) -> Result<(), RegistryError> {
        self.backend.keep_alive(lease).await
    }

    /// Ends a lease now.
    ///
    /// # Errors
    /// `NoLease` when it has ended already, or why it could not be stored.
    pub async fn revoke(&self, lease: LeaseId) -> Result<(), RegistryError> {
        self.backend.revoke(lease).await
    }

    /// What changes in a range or prefix, from the revision on (included; 0 and 1 both mean from
    /// the beginning). After a [`Registry::range`], watch from `page.revision` + 1.
    ///
    /// The stream yields [`crate::WatchError::Compacted`] when the history from there is no longer
    /// kept, at the start or because the reader was slower than the log is long.
    #[must_use]
    pub fn watch(&self, range: impl Into<KeyRange>, from: Revision) -> Watch {
        self.backend.watch(range.into(), from)
    }

    /// Forgets the history up to the revision (included). Present entries are untouched.
    ///
    /// # Errors
    /// `FutureRevision`, or why it could not be stored. Compacting again up to less is no error.
    pub async fn compact(&self, upto: Revision) -> Result<(), RegistryError> {
        self.backend.compact(upto).await
    }

    /// The figures that are never written to disk.
    #[must_use]
    pub fn live(&self) -> &Live {
        &self.live
    }

    /// Finishes what was asked before, then releases the files, so that another process (or this
    /// one) can open them. Every later call fails with `Closed`, every watch ends. Dropping the
    /// last handle does the same.
    pub async fn close(&self) {
        self.backend.close().await;
    }
}
