//! Watching: a stream of what changed, from a revision on, without a gap and without a duplicate.
//!
//! A watch holds no queue. It remembers the next revision it owes and reads the log in pages; when
//! it has caught up it sleeps until a newer revision is announced. So a watcher that is slow costs
//! no memory, and what it gets does not depend on how slow it is.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{
    StreamExt,
    future::BoxFuture,
    stream::{self, BoxStream, Stream},
};
use kinglet_model::Revision;
use tokio::sync::watch;

use crate::{
    entry::{Entry, KeyRange},
    error::{RegistryError, WatchError},
};

/// How many events a page of history has at least before it ends (at the end of a revision).
const PAGE_EVENTS: usize = 256;

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was created or its value replaced.
    Put,
    /// It was deleted.
    Delete,
}

/// One change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchEvent {
    /// What happened.
    pub kind: EventKind,
    /// The entry after the change. A deletion carries the key and its revision as `modified`; its
    /// value is empty, `version` 0, `created` 0.
    pub entry: Entry,
    /// The entry before the change; `None` when the key was created.
    pub previous: Option<Entry>,
}

/// All events of one revision that lie in the watched range, in the order of the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The revision. Resume with the one after it.
    pub revision: Revision,
    /// At least one event.
    pub events: Vec<WatchEvent>,
}

/// A stream of [`Batch`]es in the order of their revisions. It ends after an error, and when the
/// registry is closed.
pub struct Watch(BoxStream<'static, Result<Batch, WatchError>>);

impl Watch {
    /// A watch over any stream of batches; for backends.
    pub fn new(batches: impl Stream<Item = Result<Batch, WatchError>> + Send + 'static) -> Self {
        Self(batches.boxed())
    }

    /// The next batch; waits for one. `None` when the registry was closed. Safe to cancel.
    pub async fn next(&mut self) -> Option<Result<Batch, WatchError>> {
        self.0.next().await
    }
}

impl Stream for Watch {
    type Item = Result<Batch, WatchError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

/// A page of history.
pub(crate) struct History {
    /// Whole revisions, in order.
    pub(crate) batches: Vec<Batch>,
    /// The first revision this page does not cover.
    pub(crate) next: Revision,
}

/// A log that can be followed.
pub(crate) trait Log: Send + Sync + 'static {
    /// The newest revision. The sender is dropped when the registry closes.
    fn latest(&self) -> watch::Receiver<Revision>;

    /// Whole revisions from `from` on, until there are at least `events` events or no more history.
    fn history(
        &self,
        range: KeyRange,
        from: Revision,
        events: usize,
    ) -> BoxFuture<'_, Result<History, WatchError>>;
}

/// Follows a log from a revision on.
pub(crate) fn follow(log: Arc<impl Log>, range: KeyRange, from: Revision) -> Watch {
    let latest = log.latest();
    let next = Revision(from.0.max(1));
    let follower = Follower {
        log,
        latest,
        range,
        next,
        ready: VecDeque::new(),
        checked: false,
        ended: false,
    };
    Watch::new(stream::unfold(follower, |mut follower| async move {
        let item = follower.advance().await?;
        follower.ended = item.is_err();
        Some((item, follower))
    }))
}

struct Follower<L> {
    log: Arc<L>,
    latest: watch::Receiver<Revision>,
    range: KeyRange,
    next: Revision,
    ready: VecDeque<Batch>,
    checked: bool,
    ended: bool,
}

impl<L: Log> Follower<L> {
    async fn advance(&mut self) -> Option<Result<Batch, WatchError>> {
        loop {
            if self.ended {
                return None;
            }
            if let Some(batch) = self.ready.pop_front() {
                return Some(Ok(batch));
            }
            // The first read happens at once, so that a compacted start is told without waiting.
            if self.checked {
                let next = self.next;
                self.latest.wait_for(|latest| *latest >= next).await.ok()?;
            }
            match self
                .log
                .history(self.range.clone(), self.next, PAGE_EVENTS)
                .await
            {
                Ok(page) => {
                    self.checked = true;
                    self.next = self.next.max(page.next);
                    self.ready.extend(page.batches);
                }
                Err(WatchError::Registry(RegistryError::Closed)) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
