//! The event stream: the registry's log as server-sent events, and beside it, when asked for, the
//! figures that are never stored.
//!
//! A stream holds no queue. The log is read when the client has taken what came before, so a client
//! that is slow costs nothing and gets the same events later; one that is slower than the log is
//! long gets a `reset`. Live figures that it missed are replaced by those of now.

mod live;
mod object;
mod position;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::response::sse::Event as Frame;
use kinglet_model::event::Event;
use kinglet_registry::{Batch, Registry, Watch, WatchError};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

use self::live::LiveFeed;
pub use self::position::Position;
use crate::usage::Watching;

/// One client's stream.
pub struct Feed {
    registry: Registry,
    watch: Watch,
    /// Where the client stands: what it has been sent.
    position: Position,
    /// The revision being sent, and how many of its events the client has.
    batch: Option<(Batch, usize)>,
    live: Option<LiveFeed>,
    greeted: bool,
    /// The client's place is not in the log (any more).
    lost: bool,
    ending: CancellationToken,
    _permit: OwnedSemaphorePermit,
    _watching: Option<Arc<Watching>>,
}

impl Feed {
    /// A stream from `since` on; from now on where it is `None`.
    pub fn new(
        registry: Registry,
        since: Option<Position>,
        watching: Option<Arc<Watching>>,
        permit: OwnedSemaphorePermit,
        ending: CancellationToken,
    ) -> Self {
        let now = registry.current_revision();
        let position = since.unwrap_or_else(|| Position::after(now));
        let lost = position.revision > now;
        let live = watching.is_some().then(|| LiveFeed::new(&registry));
        Self {
            watch: registry.watch("/", position.watch_from()),
            registry,
            position,
            batch: None,
            live,
            greeted: false,
            lost,
            ending,
            _permit: permit,
            _watching: watching,
        }
    }

    /// The next frame; waits for one. `None` when the stream ends.
    pub async fn next(&mut self) -> Option<Frame> {
        if !self.greeted {
            self.greeted = true;
            // The id, so that a client that is cut off before the first event misses none.
            return Some(
                Frame::default()
                    .comment("ready")
                    .id(self.position.to_string()),
            );
        }
        loop {
            if self.lost {
                return Some(self.reset());
            }
            if let Some(frame) = self.next_of_batch() {
                return Some(frame);
            }
            let live = async {
                match &mut self.live {
                    Some(live) => live.next(&self.registry).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.ending.cancelled() => return None,
                batch = self.watch.next() => match batch? {
                    Ok(batch) => self.begin(batch),
                    Err(WatchError::Compacted { .. }) => self.lost = true,
                    Err(WatchError::Registry(error)) => {
                        tracing::error!(%error, "an event stream ended");
                        return None;
                    }
                },
                event = live => return event.as_ref().and_then(live::frame),
            }
        }
    }

    /// Begins to send a revision, without what the client has of it.
    fn begin(&mut self, batch: Batch) {
        let sent = self.position.sent_of(batch.revision);
        self.batch = Some((batch, sent));
    }

    /// The next event of the revision being sent. The last one carries the revision as its id, those
    /// before it also how many came: so a client that is cut off in between goes on in between.
    fn next_of_batch(&mut self) -> Option<Frame> {
        let (batch, sent) = self.batch.as_mut()?;
        let revision = batch.revision;
        let mut rest = batch
            .events
            .iter()
            .filter(|event| object::is_public(&event.entry.key))
            .skip(*sent);
        let event = rest.next();
        let is_last = rest.next().is_none();
        *sent += 1;
        self.position = if is_last {
            Position::after(revision)
        } else {
            Position::within(revision, *sent)
        };
        let event = event.and_then(|event| object::event(&self.registry, revision, event));
        if is_last {
            self.batch = None;
        }
        match event {
            Some(event) => Some(frame(&event, self.position)),
            None if is_last => None,
            None => self.next_of_batch(),
        }
    }

    fn reset(&mut self) -> Frame {
        let revision = self.registry.current_revision();
        self.lost = false;
        self.batch = None;
        self.position = Position::after(revision);
        self.watch = self.registry.watch("/", revision.next());
        frame(&Event::Reset { revision }, self.position)
    }
}

fn frame(event: &Event, position: Position) -> Frame {
    let name = match event {
        Event::Put { .. } => "put",
        Event::Delete { .. } => "delete",
        Event::Reset { .. } => "reset",
    };
    // JSON of our own types has no line break and cannot fail.
    let data = serde_json::to_string(event).unwrap_or_default();
    Frame::default()
        .event(name)
        .id(position.to_string())
        .data(data)
}
