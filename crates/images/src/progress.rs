//! Progress in the live lane: at most five times a second, with the rate of late, and taken away when
//! the work ends however it ends.

use std::time::{Duration, Instant};

use kinglet_model::{Id, Progress};
use kinglet_registry::Registry;

/// The time between two reports.
pub(crate) const INTERVAL: Duration = Duration::from_millis(200);

/// Reports how far the work on one image is.
pub(crate) struct Reporter {
    registry: Registry,
    id: Id,
    task: &'static str,
    last: Option<(Instant, u64)>,
    rate: Option<u64>,
}

impl Reporter {
    /// Nothing reported yet.
    pub(crate) fn new(registry: Registry, id: Id, task: &'static str) -> Self {
        Self {
            registry,
            id,
            task,
            last: None,
            rate: None,
        }
    }

    /// Reports, unless the last report was a moment ago; whether it did.
    pub(crate) fn report(&mut self, done: u64, total: Option<u64>) -> bool {
        let now = Instant::now();
        if let Some((time, before)) = self.last {
            let passed = now.duration_since(time);
            if passed < INTERVAL {
                return false;
            }
            self.rate = Some(rate(done.saturating_sub(before), passed, self.rate));
        }
        self.last = Some((now, done));
        let progress = Progress {
            task: self.task.to_owned(),
            done,
            total,
            rate: self.rate,
        };
        match serde_json::to_value(&progress) {
            Ok(value) => self.registry.live().set(key(self.id), value),
            Err(error) => tracing::error!(id = %self.id, %error, "progress is not JSON"),
        }
        true
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        self.registry.live().clear(&key(self.id));
    }
}

/// Shows how far interrupted work on an image is.
pub(crate) fn show(registry: &Registry, id: Id, task: &str, done: u64, total: u64) {
    let progress = Progress {
        task: task.to_owned(),
        done,
        total: Some(total),
        rate: None,
    };
    match serde_json::to_value(&progress) {
        Ok(value) => registry.live().set(key(id), value),
        Err(error) => tracing::error!(%id, %error, "progress is not JSON"),
    }
}

/// Shows no work on an image any more.
pub(crate) fn hide(registry: &Registry, id: Id) {
    registry.live().clear(&key(id));
}

/// Half of what it was, half of what it is: steady enough to read, quick enough to be true.
fn rate(bytes: u64, passed: Duration, before: Option<u64>) -> u64 {
    let millis = passed.as_millis().max(1);
    let now = u64::try_from(u128::from(bytes) * 1000 / millis).unwrap_or(u64::MAX);
    before.map_or(now, |before| before / 2 + now / 2)
}

fn key(id: Id) -> String {
    format!("/images/{id}/progress")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_taken_away_at_the_end() {
        let registry = Registry::in_memory();
        let id = Id::generate();
        let mut reporter = Reporter::new(registry.clone(), id, "hashing");
        assert!(reporter.report(1, Some(10)));
        assert!(!reporter.report(2, Some(10)));
        assert_eq!(registry.live().get(&key(id)).unwrap()["done"], 1);
        drop(reporter);
        assert_eq!(registry.live().get(&key(id)), None);
    }
}
