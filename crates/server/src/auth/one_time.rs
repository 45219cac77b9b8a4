//! Tokens that sign one browser in, once. They live in memory: a restart forgets them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::rate::Failures;
use super::secret::{self, Hashed};

/// How many tokens wait at most; one more pushes the oldest out.
const MAX_WAITING: usize = 16;

/// The tokens that were given out and not used yet.
pub struct OneTimeTokens {
    time: Duration,
    state: Mutex<State>,
}

struct State {
    waiting: Vec<Waiting>,
    failures: Failures,
}

struct Waiting {
    token: Hashed,
    until: Instant,
}

/// What came of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was good, and is now used.
    Good,
    /// It was never given out, was used before, or is too old.
    Wrong,
    /// Too many wrong ones came lately; this one was not looked at.
    TooMany,
}

impl OneTimeTokens {
    /// Tokens that can be used for `time`.
    pub fn new(time: Duration) -> Self {
        let failures = Failures::new(Instant::now());
        Self {
            time,
            state: Mutex::new(State {
                waiting: Vec::new(),
                failures,
            }),
        }
    }

    /// For how long a token can be used.
    pub const fn time(&self) -> Duration {
        self.time
    }

    /// A new token.
    pub fn issue(&self) -> String {
        let token = secret::generate();
        let now = Instant::now();
        let mut state = self.lock();
        state.waiting.retain(|waiting| waiting.until > now);
        if state.waiting.len() >= MAX_WAITING {
            state.waiting.remove(0);
        }
        state.waiting.push(Waiting {
            token: Hashed::of(&token),
            until: now + self.time,
        });
        token
    }

    /// Uses a token.
    pub fn redeem(&self, token: &str) -> Verdict {
        let now = Instant::now();
        let token = Hashed::of(token);
        let mut state = self.lock();
        if !state.failures.allow(now) {
            return Verdict::TooMany;
        }
        let mut good = false;
        // Every one is compared, so that the time taken tells nothing.
        state.waiting.retain(|waiting| {
            let same = waiting.token.is(&token);
            good |= same & (waiting.until > now);
            !same
        });
        if good {
            return Verdict::Good;
        }
        state.failures.count();
        Verdict::Wrong
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
