//! The state of the registry in memory, and what changes do to it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use bytes::Bytes;
use kinglet_model::Revision;
use tokio::sync::watch;

use crate::{
    entry::{Entry, Key, KeyRange, LeaseId},
    error::{RegistryError, TxnError, WatchError},
    txn::{Change, Committed, Txn},
    watch::{Batch, EventKind, History, WatchEvent},
};

/// How many revisions of history are kept.
const KEEP: usize = 10_000;

/// Everything there is.
pub(super) struct State {
    pub(super) entries: BTreeMap<Key, Entry>,
    pub(super) log: VecDeque<Batch>,
    pub(super) compacted: Revision,
    pub(super) leases: BTreeMap<LeaseId, Lease>,
    pub(super) last_lease: u64,
    pub(super) expiry_runs: bool,
    /// `None` once closed.
    pub(super) latest: Option<watch::Sender<Revision>>,
    pub(super) revision: Revision,
}

impl Default for State {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            log: VecDeque::new(),
            compacted: Revision::ZERO,
            leases: BTreeMap::new(),
            last_lease: 0,
            expiry_runs: false,
            latest: Some(watch::Sender::new(Revision::ZERO)),
            revision: Revision::ZERO,
        }
    }
}

#[derive(Clone, Copy)]
/// A lease and when it ends.
pub(super) struct Lease {
    pub(super) ttl: Duration,
    pub(super) deadline: Instant,
}

impl State {
    pub(super) fn txn(&mut self, txn: Txn) -> Result<Committed, TxnError> {
        for (key, expect) in &txn.requirements {
            let found = self.entries.get(key);
            if !expect.holds(found) {
                let found = found.map(|entry| entry.modified);
                return Err(TxnError::Conflict {
                    key: key.clone(),
                    found,
                });
            }
        }
        for (_, change) in &txn.changes {
            if let Change::Put {
                lease: Some(lease), ..
            } = change
            {
                self.lease(*lease)?;
            }
        }
        let revision = self.revision.next();
        let changes = txn.changes.into_iter();
        let events = changes
            .filter_map(|(key, change)| self.apply(revision, key, change))
            .collect();
        self.commit(revision, events);
        Ok(Committed {
            revision: self.revision,
        })
    }

    fn apply(&mut self, revision: Revision, key: Key, change: Change) -> Option<WatchEvent> {
        let previous = self.entries.remove(&key);
        let (kind, value, lease) = match change {
            Change::Put { value, lease } => (EventKind::Put, value, lease),
            Change::Delete => (EventKind::Delete, Bytes::new(), None),
        };
        let mut entry = Entry {
            key,
            value,
            created: Revision::ZERO,
            modified: revision,
            version: 0,
            lease,
        };
        if kind == EventKind::Put {
            entry.created = previous
                .as_ref()
                .map_or(revision, |previous| previous.created);
            entry.version = previous.as_ref().map_or(0, |previous| previous.version) + 1;
            self.entries.insert(entry.key.clone(), entry.clone());
        } else if previous.is_none() {
            return None;
        }
        Some(WatchEvent {
            kind,
            entry,
            previous,
        })
    }

    fn commit(&mut self, revision: Revision, events: Vec<WatchEvent>) {
        if events.is_empty() {
            return;
        }
        self.revision = revision;
        self.log.push_back(Batch { revision, events });
        while self.log.len() > KEEP {
            if let Some(batch) = self.log.pop_front() {
                self.compacted = batch.revision;
            }
        }
        if let Some(latest) = &self.latest {
            latest.send_replace(revision);
        }
    }

    pub(super) fn lease(&mut self, id: LeaseId) -> Result<&mut Lease, RegistryError> {
        self.leases.get_mut(&id).ok_or(RegistryError::NoLease(id))
    }

    pub(super) fn end_leases(&mut self, ended: &BTreeSet<LeaseId>) {
        self.leases.retain(|id, _| !ended.contains(id));
        let keys: Vec<_> = self
            .entries
            .values()
            .filter(|entry| entry.lease.is_some_and(|lease| ended.contains(&lease)))
            .map(|entry| entry.key.clone())
            .collect();
        let revision = self.revision.next();
        let events = keys
            .into_iter()
            .filter_map(|key| self.apply(revision, key, Change::Delete))
            .collect();
        self.commit(revision, events);
    }

    pub(super) fn history(
        &self,
        range: &KeyRange,
        from: Revision,
        events: usize,
    ) -> Result<History, WatchError> {
        if from <= self.compacted {
            return Err(WatchError::Compacted {
                compacted: self.compacted,
            });
        }
        let mut batches = Vec::new();
        let mut count = 0;
        for batch in self.log.iter().filter(|batch| batch.revision >= from) {
            if count >= events {
                return Ok(History {
                    batches,
                    next: batch.revision,
                });
            }
            let wanted = |event: &&WatchEvent| range.contains(event.entry.key.as_str());
            let inside: Vec<_> = batch.events.iter().filter(wanted).cloned().collect();
            if !inside.is_empty() {
                count += inside.len();
                batches.push(Batch {
                    revision: batch.revision,
                    events: inside,
                });
            }
        }
        Ok(History {
            batches,
            next: self.revision.next(),
        })
    }
}

/// Ends the leases whose time is over.
pub(super) fn expire(state: &mut State) {
    let now = Instant::now();
    let due = state
        .leases
        .iter()
        .filter(|(_, lease)| lease.deadline <= now);
    let ended: BTreeSet<_> = due.map(|(id, _)| *id).collect();
    if !ended.is_empty() {
        state.end_leases(&ended);
    }
}
