//! What the daemon counts of itself.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::StatusCode;

/// Answers, by the first digit of their status.
#[derive(Default)]
pub struct Metrics {
    answers: [AtomicU64; 6],
}

impl Metrics {
    /// Another answer left.
    pub fn count(&self, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).min(5);
        self.answers[class].fetch_add(1, Ordering::Relaxed);
    }

    /// Answers so far of each class: `("2xx", n)`.
    pub fn answers(&self) -> impl Iterator<Item = (String, u64)> + '_ {
        let counted = self.answers.iter().enumerate().skip(1);
        counted.map(|(class, count)| (format!("{class}xx"), count.load(Ordering::Relaxed)))
    }
}
