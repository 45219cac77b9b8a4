//! How often something may fail.

use std::time::{Duration, Instant};

/// A bucket that failures empty and time fills again.
pub struct Failures {
    left: f64,
    at: Instant,
}

/// How many failures in a row are let through.
const BURST: f64 = 10.0;

/// After how long one more is.
const REFILL: Duration = Duration::from_secs(6);

impl Failures {
    pub fn new(now: Instant) -> Self {
        Self {
            left: BURST,
            at: now,
        }
    }

    /// Whether another attempt is let through now.
    pub fn allow(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.left = (self.left + passed / REFILL.as_secs_f64()).min(BURST);
        self.at = now;
        self.left >= 1.0
    }

    /// Another attempt failed.
    pub fn count(&mut self) {
        self.left -= 1.0;
    }
}
