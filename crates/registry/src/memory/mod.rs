//! The registry in memory: the plainest thing that keeps the contract. The SQLite backend is
//! tested against it, and other crates use it in their tests.

mod state;

use std::{
    collections::BTreeSet,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak},
    thread,
    time::{Duration, Instant},
};

use futures::future::{BoxFuture, FutureExt, ready};
use kinglet_model::Revision;
use tokio::sync::watch;

use self::state::{Lease, State, expire};
use crate::{
    backend::Backend,
    entry::{Entry, Key, KeyRange, LeaseId, Page},
    error::{RegistryError, TxnError, WatchError},
    txn::{Committed, Txn},
    watch::{History, Log, Watch, follow},
};

/// A registry without a disk.
pub(crate) struct MemoryBackend(Arc<Shared>);

impl MemoryBackend {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    leases_changed: Condvar,
}

impl Shared {
    /// The state, unless closed, with expired leases already gone.
    fn open(&self) -> Result<MutexGuard<'_, State>, RegistryError> {
        let mut state = self.lock();
        if state.latest.is_none() {
            return Err(RegistryError::Closed);
        }
        expire(&mut state);
        Ok(state)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn grant(self: &Arc<Self>, ttl: Duration) -> Result<LeaseId, RegistryError> {
        let mut state = self.open()?;
        state.last_lease += 1;
        let id = LeaseId(state.last_lease);
        state.leases.insert(
            id,
            Lease {
                ttl,
                deadline: Instant::now() + ttl,
            },
        );
        if !state.expiry_runs {
            state.expiry_runs = true;
            let weak = Arc::downgrade(self);
            thread::spawn(move || run_expiry(&weak));
        }
        self.leases_changed.notify_all();
        Ok(id)
    }
}

/// Ends leases in their time; itself ends with the last lease, or when the registry is gone.
fn run_expiry(shared: &Weak<Shared>) {
    while let Some(shared) = shared.upgrade() {
        let mut state = shared.lock();
        expire(&mut state);
        let Some(next) = state.leases.values().map(|lease| lease.deadline).min() else {
            state.expiry_runs = false;
            return;
        };
        // Bounded, so that a registry that was dropped with leases is noticed.
        let wait = next
            .saturating_duration_since(Instant::now())
            .min(Duration::from_secs(1));
        drop(shared.leases_changed.wait_timeout(state, wait));
    }
}

impl Backend for MemoryBackend {
    fn get(&self, key: Key) -> BoxFuture<'_, Result<Option<Entry>, RegistryError>> {
        ready(self.0.open().map(|state| state.entries.get(&key).cloned())).boxed()
    }

    fn range(
        &self,
        range: KeyRange,
        after: Option<Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page, RegistryError>> {
        let page = self.0.open().map(|state| {
            let inside = |entry: &&Entry| {
                range.contains(entry.key.as_str()) && after.as_ref().is_none_or(|a| entry.key > *a)
            };
            let mut entries = state.entries.values().filter(inside);
            Page {
                entries: entries.by_ref().take(limit).cloned().collect(),
                revision: state.revision,
                more: entries.next().is_some(),
            }
        });
        ready(page).boxed()
    }

    fn count(&self, range: KeyRange) -> BoxFuture<'_, Result<u64, RegistryError>> {
        let count = self.0.open().map(|state| {
            state
                .entries
                .keys()
                .filter(|key| range.contains(key.as_str()))
                .count() as u64
        });
        ready(count).boxed()
    }

    fn txn(&self, txn: Txn) -> BoxFuture<'_, Result<Committed, TxnError>> {
        async move { self.0.open()?.txn(txn) }.boxed()
    }

    fn grant(&self, ttl: Duration) -> BoxFuture<'_, Result<LeaseId, RegistryError>> {
        async move { self.0.grant(ttl) }.boxed()
    }

    fn keep_alive(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), RegistryError>> {
        async move {
            let mut state = self.0.open()?;
            let lease = state.lease(lease)?;
            lease.deadline = Instant::now() + lease.ttl;
            Ok(())
        }
        .boxed()
    }

    fn revoke(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), RegistryError>> {
        async move {
            let mut state = self.0.open()?;
            state.lease(lease)?;
            state.end_leases(&BTreeSet::from([lease]));
            Ok(())
        }
        .boxed()
    }

    fn watch(&self, range: KeyRange, from: Revision) -> Watch {
        follow(Arc::clone(&self.0), range, from)
    }

    fn compact(&self, upto: Revision) -> BoxFuture<'_, Result<(), RegistryError>> {
        async move {
            let mut state = self.0.open()?;
            if upto > state.revision {
                return Err(RegistryError::FutureRevision {
                    asked: upto,
                    current: state.revision,
                });
            }
            state.compacted = state.compacted.max(upto);
            state.log.retain(|batch| batch.revision > upto);
            Ok(())
        }
        .boxed()
    }

    fn current_revision(&self) -> Revision {
        self.0.lock().revision
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            let mut state = self.0.lock();
            state.latest = None;
            state.leases.clear();
            self.0.leases_changed.notify_all();
        }
        .boxed()
    }
}

impl Log for Shared {
    fn latest(&self) -> watch::Receiver<Revision> {
        let state = self.lock();
        // A receiver without a sender ends the watch at its first read.
        let none = || watch::channel(state.revision).1;
        state
            .latest
            .as_ref()
            .map_or_else(none, watch::Sender::subscribe)
    }

    fn history(
        &self,
        range: KeyRange,
        from: Revision,
        events: usize,
    ) -> BoxFuture<'_, Result<History, WatchError>> {
        async move { self.open()?.history(&range, from, events) }.boxed()
    }
}
