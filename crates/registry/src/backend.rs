//! The contract between the registry and what stores it, in the shape of etcd v3, so that a fleet
//! can put etcd in the place of SQLite without touching a caller.

use std::time::Duration;

use futures::future::BoxFuture;
use kinglet_model::Revision;

use crate::{
    entry::{Entry, Key, KeyRange, LeaseId, Page},
    error::{RegistryError, TxnError},
    txn::{Committed, Txn},
    watch::Watch,
};

/// What a store of the registry must do.
///
/// Revisions count up by one per transaction that changed something, from 1; an empty registry is
/// at 0. What a read returns is at least as new as every change acknowledged before it was asked.
pub trait Backend: Send + Sync + 'static {
    /// The entry of one key.
    fn get(&self, key: Key) -> BoxFuture<'_, Result<Option<Entry>, RegistryError>>;

    /// Up to `limit` entries of the range after the key `after`, in order. A backend may return
    /// fewer and say that there are more.
    fn range(
        &self,
        range: KeyRange,
        after: Option<Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page, RegistryError>>;

    /// How many keys the range holds now.
    fn count(&self, range: KeyRange) -> BoxFuture<'_, Result<u64, RegistryError>>;

    /// Makes the transaction; returns when it is durable. The caller has checked its bounds.
    fn txn(&self, txn: Txn) -> BoxFuture<'_, Result<Committed, TxnError>>;

    /// Creates a lease that ends when it is not kept alive for `ttl`.
    fn grant(&self, ttl: Duration) -> BoxFuture<'_, Result<LeaseId, RegistryError>>;

    /// Starts the lease's time anew.
    fn keep_alive(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), RegistryError>>;

    /// Ends the lease now and deletes its keys, as one revision.
    fn revoke(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), RegistryError>>;

    /// The events of the range from the revision on (included), first from history, then live.
    fn watch(&self, range: KeyRange, from: Revision) -> Watch;

    /// Forgets the history up to the revision (included); the present state stays.
    fn compact(&self, upto: Revision) -> BoxFuture<'_, Result<(), RegistryError>>;

    /// The newest revision that is durable.
    fn current_revision(&self) -> Revision;

    /// Ends background work and releases files. Everything after it fails with `Closed`.
    fn close(&self) -> BoxFuture<'_, ()>;
}
