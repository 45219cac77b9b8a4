//! Who writes to which upload, in this process: one writer each.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use kinglet_model::Id;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Pieces that are written at a time, for all uploads together. They wait in turn, so that none of
/// them holds up the others, and some threads are left for everything else.
const WRITERS: usize = 6;

/// A writer that has heard nothing for so long gives way to another: its client may have lost the
/// connection without the kernel knowing.
const STALLED: Duration = Duration::from_secs(5);

/// How long it may take to give way.
const YIELDING: Duration = Duration::from_secs(10);

/// What all handles of the library share of uploads.
pub(crate) struct Desk {
    writers: Mutex<HashMap<Id, Arc<Writer>>>,
    fresh: Mutex<HashSet<Id>>,
    /// Whoever writes a piece to disk.
    pub(super) turns: Semaphore,
    /// Whoever looks for space and takes it.
    pub(super) space: tokio::sync::Mutex<()>,
}

/// The one who writes to an upload.
struct Writer {
    stop: CancellationToken,
    left: CancellationToken,
    heard: Mutex<Instant>,
}

/// The right to write to an upload, until it is dropped.
pub(crate) struct Claim {
    desk: Arc<Desk>,
    id: Id,
    writer: Arc<Writer>,
}

/// An upload whose files are there and whose image is not yet; until it is dropped.
pub(super) struct Fresh(Arc<Desk>, Id);

impl Default for Desk {
    fn default() -> Self {
        Self {
            writers: Mutex::default(),
            fresh: Mutex::default(),
            turns: Semaphore::new(WRITERS),
            space: tokio::sync::Mutex::default(),
        }
    }
}

impl Desk {
    /// Whether somebody writes to the upload.
    pub(crate) fn is_busy(&self, id: Id) -> bool {
        lock(&self.writers).contains_key(&id)
    }

    /// Whether the upload is just being made.
    pub(crate) fn is_fresh(&self, id: Id) -> bool {
        lock(&self.fresh).contains(&id)
    }

    pub(super) fn fresh(self: &Arc<Self>, id: Id) -> Fresh {
        lock(&self.fresh).insert(id);
        Fresh(Arc::clone(self), id)
    }

    /// Takes the upload, from a writer who has long heard nothing too; `None`: somebody writes.
    pub(super) async fn claim(self: &Arc<Self>, id: Id) -> Option<Claim> {
        self.take(id, |writer| lock(&writer.heard).elapsed() >= STALLED)
            .await
    }

    /// Takes the upload from whoever has it.
    pub(super) async fn seize(self: &Arc<Self>, id: Id) -> Option<Claim> {
        self.take(id, |_| true).await
    }

    async fn take(
        self: &Arc<Self>,
        id: Id,
        may_stop: impl Fn(&Writer) -> bool + Send,
    ) -> Option<Claim> {
        loop {
            let other = match self.try_take(id) {
                Ok(claim) => return Some(claim),
                Err(other) => other,
            };
            if !may_stop(&other) {
                return None;
            }
            other.stop.cancel();
            tokio::time::timeout(YIELDING, other.left.cancelled())
                .await
                .ok()?;
        }
    }

    fn try_take(self: &Arc<Self>, id: Id) -> Result<Claim, Arc<Writer>> {
        let mut writers = lock(&self.writers);
        if let Some(other) = writers.get(&id) {
            return Err(Arc::clone(other));
        }
        let writer = Arc::new(Writer {
            stop: CancellationToken::new(),
            left: CancellationToken::new(),
            heard: Mutex::new(Instant::now()),
        });
        writers.insert(id, Arc::clone(&writer));
        Ok(Claim {
            desk: Arc::clone(self),
            id,
            writer,
        })
    }
}

impl Claim {
    /// Something came.
    pub(super) fn heard(&self) {
        *lock(&self.writer.heard) = Instant::now();
    }

    /// Ready when the writer has to leave.
    pub(super) async fn stopped(&self) {
        self.writer.stop.cancelled().await;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.desk.writers).remove(&self.id);
        self.writer.left.cancel();
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        lock(&self.0.fresh).remove(&self.1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
