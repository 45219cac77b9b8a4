//! The writing side: one thread that owns the connection.
//!
//! What is queued when the thread looks is written in one SQLite transaction with one flush (group
//! commit); each of ours still gets its own revision and its own answer, after the flush. If the
//! group fails it is undone and tried one by one, so that only who cannot be served gets the error.
//! The thread has a timer only while there are leases.

use std::{
    collections::BTreeMap,
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use kinglet_model::Revision;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::watch;

use super::{
    Options, apply,
    command::{Answer, Command, Inbox},
    fault::Site,
    file::Opened,
    lock::Lock,
    read::{self, Counters},
    rows::unsigned,
};
use crate::{
    entry::LeaseId,
    error::{RegistryError, TxnError},
    txn::{Change, Committed, Txn},
};

/// The most commands in one group.
const GROUP: usize = 256;

/// The most revisions forgotten at once by the automatic compaction, to bound the pause.
const COMPACTION_STEP: u64 = 1000;

/// After a failure to end leases (disk full), when to try again.
const EXPIRY_RETRY: Duration = Duration::from_secs(1);

/// The writing thread's possessions.
pub(super) struct Writer {
    // Dropped in this order: the connection is closed before the lock is given up.
    db: Connection,
    _lock: Lock,
    site: Site,
    queue: Receiver<Command>,
    latest: watch::Sender<Revision>,
    keep: u64,
    state: State,
}

/// What a group changes; a failed group puts the old one back.
#[derive(Clone)]
struct State {
    counters: Counters,
    leases: BTreeMap<LeaseId, Lease>,
}

#[derive(Clone, Copy)]
struct Lease {
    ttl: Duration,
    deadline: Instant,
}

impl Lease {
    fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            deadline: Instant::now() + ttl,
        }
    }
}

impl Writer {
    pub(super) fn new(
        opened: Opened,
        site: Site,
        options: &Options,
    ) -> Result<(Self, Inbox, watch::Receiver<Revision>), RegistryError> {
        let Opened { db, lock } = opened;
        let state = State::load(&db).map_err(|error| site.sql(&error))?;
        let (inbox, queue) = Inbox::new();
        let (latest, receiver) = watch::channel(state.counters.revision);
        let keep = options.keep_revisions.max(1);
        let writer = Self {
            db,
            _lock: lock,
            site,
            queue,
            latest,
            keep,
            state,
        };
        Ok((writer, inbox, receiver))
    }

    /// Serves commands until there can be no more.
    pub(super) fn run(mut self) {
        while let Ok(first) = self.wait() {
            self.expire_leases();
            if let Some(first) = first {
                let mut group = vec![first];
                group.extend(self.queue.try_iter().take(GROUP - 1));
                self.serve(group);
            }
            self.compact_now_and_then();
        }
    }

    /// The next command; `None` when a lease is due before one comes.
    fn wait(&self) -> Result<Option<Command>, mpsc::RecvError> {
        let Some(deadline) = self.state.leases.values().map(|lease| lease.deadline).min() else {
            return self.queue.recv().map(Some);
        };
        match self
            .queue
            .recv_timeout(deadline.saturating_duration_since(Instant::now()))
        {
            Ok(command) => Ok(Some(command)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(mpsc::RecvError),
        }
    }

    fn expire_leases(&mut self) {
        let now = Instant::now();
        let due = self
            .state
            .leases
            .iter()
            .filter(|(_, lease)| lease.deadline <= now);
        let due: Vec<_> = due.map(|(id, _)| *id).collect();
        if due.is_empty() {
            return;
        }
        let ended = self.write(|db, state| {
            state.leases.retain(|id, _| !due.contains(id));
            apply::end_leases(db, &mut state.counters, &due)
        });
        if let Err(error) = ended {
            tracing::warn!(%error, "expired leases could not be ended, trying again soon");
            let leases = self.state.leases.iter_mut();
            for (_, lease) in leases.filter(|(id, _)| due.contains(id)) {
                lease.deadline = now + EXPIRY_RETRY;
            }
        }
    }

    fn serve(&mut self, group: Vec<Command>) {
        let answers = self.write(|db, state| {
            group
                .iter()
                .map(|command| state.apply(db, command))
                .collect::<Result<Vec<_>, _>>()
        });
        match answers {
            Ok(answers) => group
                .into_iter()
                .zip(answers)
                .for_each(|(to, answer)| to.answer(answer)),
            Err(error) if group.len() == 1 => {
                group.into_iter().for_each(|to| to.refuse(error.clone()));
            }
            Err(_) => group
                .into_iter()
                .for_each(|command| self.serve(vec![command])),
        }
    }

    fn compact_now_and_then(&mut self) {
        let Counters {
            revision,
            compacted,
            ..
        } = self.state.counters;
        let surplus = revision
            .0
            .saturating_sub(compacted.0)
            .saturating_sub(self.keep);
        // Not for each revision: the more are forgotten at once, the less it costs each.
        if surplus < (self.keep / 10).clamp(1, COMPACTION_STEP) {
            return;
        }
        let upto = Revision(compacted.0 + surplus.min(COMPACTION_STEP));
        let compacted = self.write(|db, state| apply::compact(db, &mut state.counters, upto));
        if let Err(error) = compacted {
            tracing::warn!(%error, "old history could not be removed");
        }
    }

    /// Runs `work` in a SQLite transaction. On an error nothing of it remains, on disk or here.
    fn write<T>(
        &mut self,
        work: impl FnOnce(&Connection, &mut State) -> rusqlite::Result<T>,
    ) -> Result<T, RegistryError> {
        let mut state = self.state.clone();
        let written = (|| {
            // Begun as a writer at once: what is read first is what is changed then.
            let view = self
                .db
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let before = view.total_changes();
            let result = work(&view, &mut state)?;
            if view.total_changes() == before && state.counters == self.state.counters {
                // Conflicts and keep-alives alone need no flush; dropping the view ends it.
                return Ok(result);
            }
            apply::store(&view, &state.counters)?;
            view.commit()?;
            Ok(result)
        })();
        let result = written.map_err(|error| self.site.sql(&error))?;
        self.state = state;
        if *self.latest.borrow() != self.state.counters.revision {
            self.latest.send_replace(self.state.counters.revision);
        }
        Ok(result)
    }
}

impl State {
    fn load(db: &Connection) -> rusqlite::Result<Self> {
        let counters = read::counters(db)?;
        let mut statement = db.prepare("SELECT id, ttl_ms FROM leases")?;
        let leases = statement.query_map([], |row| {
            let ttl = Duration::from_millis(unsigned(row, 1)?);
            Ok((LeaseId(unsigned(row, 0)?), Lease::new(ttl)))
        })?;
        Ok(Self {
            counters,
            leases: leases.collect::<Result<_, _>>()?,
        })
    }

    fn apply(&mut self, db: &Connection, command: &Command) -> rusqlite::Result<Answer> {
        Ok(match command {
            Command::Txn { txn, .. } => Answer::Txn(self.txn(db, txn)?),
            Command::Grant { ttl, .. } => {
                let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
                let id = apply::grant(db, &mut self.counters, ttl_ms)?;
                self.leases.insert(id, Lease::new(*ttl));
                Answer::Lease(id)
            }
            Command::KeepAlive { lease, .. } => Answer::Done(self.keep_alive(*lease)),
            Command::Revoke { lease, .. } => Answer::Done(self.revoke(db, *lease)?),
            Command::Compact { upto, .. } => Answer::Done(self.compact(db, *upto)?),
            Command::Close { .. } => Answer::Done(Ok(())),
        })
    }

    fn txn(&mut self, db: &Connection, txn: &Txn) -> rusqlite::Result<Result<Committed, TxnError>> {
        let leases = txn.changes.iter().filter_map(|(_, change)| match change {
            Change::Put { lease, .. } => *lease,
            Change::Delete => None,
        });
        let gone = leases
            .into_iter()
            .find(|lease| !self.leases.contains_key(lease));
        apply::txn(db, &mut self.counters, txn, gone)
    }

    fn keep_alive(&mut self, id: LeaseId) -> Result<(), RegistryError> {
        let lease = self.leases.get_mut(&id).ok_or(RegistryError::NoLease(id))?;
        *lease = Lease::new(lease.ttl);
        Ok(())
    }

    fn revoke(
        &mut self,
        db: &Connection,
        id: LeaseId,
    ) -> rusqlite::Result<Result<(), RegistryError>> {
        if self.leases.remove(&id).is_none() {
            return Ok(Err(RegistryError::NoLease(id)));
        }
        apply::end_leases(db, &mut self.counters, &[id]).map(Ok)
    }

    fn compact(
        &mut self,
        db: &Connection,
        asked: Revision,
    ) -> rusqlite::Result<Result<(), RegistryError>> {
        let current = self.counters.revision;
        if asked > current {
            return Ok(Err(RegistryError::FutureRevision { asked, current }));
        }
        apply::compact(db, &mut self.counters, asked).map(Ok)
    }
}
