//! The live lane: figures that move many times a second (progress, usage) and are of no interest
//! after a restart. They stay in memory; a reader takes a snapshot and then follows the changes.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use tokio::sync::broadcast;

/// How many changes a reader may be behind before it must take a new snapshot.
const BACKLOG: usize = 256;

/// A change of one live figure; `None` when it was cleared.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveChange {
    /// The key, by convention that of the resource it belongs to and the figure's name.
    pub key: String,
    /// The new value.
    pub value: Option<Value>,
}

/// A reader fell too far behind: its snapshot is stale, it should take a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{missed} live changes were missed; take a new snapshot")]
pub struct Lagged {
    /// How many changes were missed.
    pub missed: u64,
}

/// The map of live figures.
pub struct Live {
    figures: Mutex<BTreeMap<String, Value>>,
    changes: broadcast::Sender<LiveChange>,
}

impl Live {
    pub(crate) fn new() -> Self {
        Self {
            figures: Mutex::default(),
            changes: broadcast::Sender::new(BACKLOG),
        }
    }

    /// Sets a figure. Nobody is told when the value is what it was.
    pub fn set(&self, key: impl Into<String>, value: Value) {
        let key = key.into();
        let mut figures = self.lock();
        if figures.get(&key) == Some(&value) {
            return;
        }
        figures.insert(key.clone(), value.clone());
        // Sent under the lock, so that readers see changes in the order in which they were made.
        // Without a reader the send fails, which is fine.
        let _ = self.changes.send(LiveChange {
            key,
            value: Some(value),
        });
    }

    /// Removes a figure, if it is there.
    pub fn clear(&self, key: &str) {
        let mut figures = self.lock();
        if figures.remove(key).is_some() {
            let _ = self.changes.send(LiveChange {
                key: key.to_owned(),
                value: None,
            });
        }
    }

    /// Removes every figure that begins with `prefix`, for instance those of a deleted resource.
    pub fn clear_prefix(&self, prefix: &str) {
        let mut figures = self.lock();
        let range = figures.range(prefix.to_owned()..);
        let keys: Vec<_> = range
            .map(|(key, _)| key.clone())
            .take_while(|key| key.starts_with(prefix))
            .collect();
        for key in keys {
            figures.remove(&key);
            let _ = self.changes.send(LiveChange { key, value: None });
        }
    }

    /// One figure.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value> {
        self.lock().get(key).cloned()
    }

    /// All figures that begin with `prefix`, as they are now.
    #[must_use]
    pub fn snapshot(&self, prefix: &str) -> BTreeMap<String, Value> {
        let figures = self.lock();
        figures
            .range(prefix.to_owned()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    /// Follows the changes from now on. To miss none, subscribe first and take the snapshot after.
    #[must_use]
    pub fn subscribe(&self) -> LiveReader {
        LiveReader(self.changes.subscribe())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reader of live changes.
pub struct LiveReader(broadcast::Receiver<LiveChange>);

impl LiveReader {
    /// The next change; waits for one. `None` when the registry is gone. Safe to cancel.
    ///
    /// # Errors
    /// [`Lagged`] when changes were missed; the next call continues with the oldest still kept.
    pub async fn next(&mut self) -> Option<Result<LiveChange, Lagged>> {
        match self.0.recv().await {
            Ok(change) => Some(Ok(change)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Err(Lagged { missed })),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn reader_sees_changes_in_order_and_equal_values_are_silent() {
        let live = Live::new();
        let mut reader = live.subscribe();
        live.set("/images/1/progress", json!(0.1));
        live.set("/images/1/progress", json!(0.1));
        live.set("/images/1/progress", json!(0.2));
        live.clear("/images/1/progress");
        live.clear("/images/1/progress");
        live.set("/vms/1/cpu", json!(3));
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(reader.next().await.unwrap().unwrap().value);
        }
        assert_eq!(
            seen,
            [Some(json!(0.1)), Some(json!(0.2)), None, Some(json!(3))]
        );
        assert_eq!(live.snapshot("/images/").len(), 0);
        assert_eq!(live.snapshot("/vms/").len(), 1);
    }

    #[tokio::test]
    async fn slow_reader_is_told_that_it_lagged_and_continues() {
        let live = Live::new();
        let mut reader = live.subscribe();
        for step in 0..BACKLOG + 10 {
            live.set("k", json!(step));
        }
        assert_eq!(reader.next().await.unwrap(), Err(Lagged { missed: 10 }));
        assert_eq!(reader.next().await.unwrap().unwrap().value, Some(json!(10)));
        live.clear_prefix("k");
        assert!(live.get("k").is_none());
    }
}
