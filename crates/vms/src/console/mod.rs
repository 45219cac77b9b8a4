//! The serial console of a VM: what it said is kept in a bounded log on disk that any number of
//! viewers read; what is typed goes through one writer at a time.
//!
//! QEMU writes the log itself, so that nothing is lost while the program is away. Offsets count from
//! the VM's first byte ever and stay valid while the log's head is given back to the file system.

mod log;
mod screen;
mod watcher;
mod writer;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};

pub(crate) use watcher::{Seat, Watcher};
pub use writer::{ClaimError, SendError, Writer};

use crate::folder::Folder;

/// The most bytes given at once.
const CHUNK: usize = 64 << 10;

/// The console of one VM. Cheap to clone.
#[derive(Clone)]
pub struct Console {
    folder: Folder,
    seat: Arc<Seat>,
}

impl Console {
    pub(crate) const fn new(folder: Folder, seat: Arc<Seat>) -> Self {
        Self { folder, seat }
    }

    /// What was said from the offset `from` on, or from the oldest byte still kept where that is later
    /// or nothing is given; at most `max` bytes and at most 64 KiB. With the offset of its first byte.
    /// Blocks shortly.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub fn history(&self, from: Option<u64>, max: usize) -> io::Result<(u64, Bytes)> {
        log::read(
            &self.folder.console_log(),
            from.unwrap_or(0),
            max.min(CHUNK),
        )
    }

    /// The offset after the last byte said.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub fn end(&self) -> io::Result<u64> {
        std::fs::metadata(self.folder.console_log()).map(|log| log.len())
    }

    /// Where a viewer begins so that it has the last screen: after the last sequence that clears the
    /// screen, else at the start of a line, at most 16 KiB back.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub fn last_screen(&self) -> io::Result<u64> {
        const BACK: u64 = 16 << 10;
        let from = self.end()?.saturating_sub(BACK);
        let (offset, bytes) = self.history(Some(from), CHUNK)?;
        Ok(offset + screen::begin(&bytes, offset == 0) as u64)
    }

    /// What is said from the offset `from` on, as it is said. A gap in the offsets means that output
    /// came faster than it was read, and is no longer kept. Ends when the VM is deleted.
    #[must_use]
    pub fn follow(&self, from: u64) -> BoxStream<'static, io::Result<(u64, Bytes)>> {
        let reader = (self.clone(), self.seat.watch(), from);
        stream::unfold(reader, |(console, mut seat, from)| async move {
            loop {
                let path = console.folder.console_log();
                let read = tokio::task::spawn_blocking(move || log::read(&path, from, CHUNK)).await;
                match read.unwrap_or_else(|_| Err(io::Error::other("reading was cut off"))) {
                    Ok((offset, bytes)) if bytes.is_empty() => {
                        debug_assert!(offset <= from || offset == 0);
                        seat.changed().await.ok()?;
                    }
                    Ok((offset, bytes)) => {
                        let next = offset + bytes.len() as u64;
                        return Some((Ok((offset, bytes)), (console, seat, next)));
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
                    Err(error) => return Some((Err(error), (console, seat, from))),
                }
            }
        })
        .boxed()
    }

    /// Takes the keyboard, if nobody has it.
    ///
    /// # Errors
    /// Where another has it, or the VM is not running.
    pub async fn claim_writer(&self) -> Result<Writer, ClaimError> {
        self.claim(false).await
    }

    /// Takes the keyboard from whoever has it.
    ///
    /// # Errors
    /// Where the VM is not running.
    pub async fn steal_writer(&self) -> Result<Writer, ClaimError> {
        self.claim(true).await
    }

    async fn claim(&self, steal: bool) -> Result<Writer, ClaimError> {
        let turn = self.seat.keyboard.take(steal)?;
        Writer::open(&self.folder.keyboard(), turn)
    }
}

#[cfg(test)]
mod tests;
