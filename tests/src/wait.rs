//! Waiting for something to become true, with a limit that is only ever reached by a failure.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long a test waits for anything before it has failed. Generous: the machines are shared, and
/// the guests are emulated.
#[must_use]
pub const fn patience() -> Duration {
    Duration::from_secs(240)
}

/// Calls `look` until it gives something. Fails, naming `what`, when [`patience`] is at its end.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + patience();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() > end {
            bail!("waited {} s in vain for {what}", patience().as_secs());
        }
        std::thread::sleep(Duration::from_millis(25));
    }
}
