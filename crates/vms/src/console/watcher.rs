//! One inotify instance for the logs of all VMs: tells viewers that something was said, and keeps
//! each log within its bound. Idle guests cause no wake-up.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use tokio::io::unix::AsyncFd;
use tokio::sync::watch;

use super::log;
use super::writer::Keyboard;
use crate::readable::readable;

/// Lets a burst of single bytes become one piece for the viewers.
const GATHER: Duration = Duration::from_millis(4);

/// What the viewers and the writer of one VM share.
pub(crate) struct Seat {
    path: PathBuf,
    said: watch::Sender<u64>,
    pub(super) keyboard: Keyboard,
}

impl Seat {
    /// Follows the log: changes whenever something was said.
    pub(super) fn watch(&self) -> watch::Receiver<u64> {
        self.said.subscribe()
    }

    fn wake(&self) {
        self.said
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// Watches logs.
pub(crate) struct Watcher {
    inotify: Arc<AsyncFd<OwnedFd>>,
    seats: Arc<Mutex<HashMap<i32, Weak<Seat>>>>,
    kept: u64,
    task: tokio::task::JoinHandle<()>,
}

impl Watcher {
    /// Begins; logs keep their last `kept` bytes. Call on a runtime.
    pub(crate) fn start(kept: u64) -> std::io::Result<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let inotify = Arc::new(readable(inotify)?);
        let seats = Arc::default();
        let task = tokio::spawn(watch(Arc::clone(&inotify), Arc::clone(&seats), kept));
        Ok(Self {
            inotify,
            seats,
            kept,
            task,
        })
    }

    /// Watches the log at `path`, which exists.
    pub(crate) fn add(&self, path: PathBuf) -> std::io::Result<Arc<Seat>> {
        let flags = WatchFlags::MODIFY | WatchFlags::DELETE_SELF;
        let number = inotify::add_watch(self.inotify.get_ref(), &path, flags)?;
        let seat = Arc::new(Seat {
            path,
            said: watch::Sender::new(0),
            keyboard: Keyboard::default(),
        });
        lock(&self.seats).insert(number, Arc::downgrade(&seat));
        Ok(seat)
    }

    /// Bounds the log at the start of a run, where it can be cut if need be.
    pub(crate) fn begin_run(&self, path: &std::path::Path) -> std::io::Result<()> {
        log::cut_if_whole(path, self.kept)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(
    inotify: Arc<AsyncFd<OwnedFd>>,
    seats: Arc<Mutex<HashMap<i32, Weak<Seat>>>>,
    kept: u64,
) {
    let mut trimmed: HashMap<i32, u64> = HashMap::new();
    loop {
        let Ok(mut ready) = inotify.readable().await else {
            return;
        };
        tokio::time::sleep(GATHER).await;
        for (number, gone) in changed(inotify.get_ref()) {
            let seat = lock(&seats).get(&number).and_then(Weak::upgrade);
            if let Some(seat) = seat {
                bound(&seat, number, kept, &mut trimmed).await;
                seat.wake();
            }
            if gone {
                lock(&seats).remove(&number);
                trimmed.remove(&number);
            }
        }
        ready.clear_ready();
    }
}

/// The logs that changed, and whether each is gone; empties the queue.
fn changed(inotify: &OwnedFd) -> HashMap<i32, bool> {
    let mut buffer = [MaybeUninit::uninit(); 4096];
    let mut reader = inotify::Reader::new(inotify, &mut buffer);
    let mut all = HashMap::new();
    while let Ok(event) = reader.next() {
        *all.entry(event.wd()).or_insert(false) |= event.events().contains(ReadFlags::IGNORED);
    }
    all
}

/// Trims the log each time it grew by another quarter of what is kept.
async fn bound(seat: &Seat, number: i32, kept: u64, trimmed: &mut HashMap<i32, u64>) {
    let Ok(length) = std::fs::metadata(&seat.path).map(|log| log.len()) else {
        return;
    };
    let last = trimmed.entry(number).or_insert(0);
    if length < last.saturating_add(kept / 4) && length >= *last {
        return;
    }
    *last = length;
    let path = seat.path.clone();
    let done = tokio::task::spawn_blocking(move || log::trim(&path, kept)).await;
    if let Ok(Err(error)) = done {
        tracing::debug!(%error, path = %seat.path.display(), "the console's log was not trimmed");
    }
}

fn lock(
    seats: &Mutex<HashMap<i32, Weak<Seat>>>,
) -> std::sync::MutexGuard<'_, HashMap<i32, Weak<Seat>>> {
    seats.lock().unwrap_or_else(PoisonError::into_inner)
}
