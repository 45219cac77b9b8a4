//! The one who types.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::OwnedWriteHalf;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::engine::qemu::connect;

/// The console socket's name in a VM's folder of sockets.
const SOCKET: &str = "console";

/// Why the keyboard was not given.
#[derive(Debug, Error)]
pub enum ClaimError {
    /// Another has it.
    #[error("somebody else is typing on this console; take it over, or wait")]
    Taken,
    /// There is nobody to type to.
    #[error("the VM is not running")]
    NotRunning(#[source] io::Error),
}

/// Why what was typed did not arrive.
#[derive(Debug, Error)]
pub enum SendError {
    /// Another took the keyboard.
    #[error("somebody else has taken over this console")]
    TakenOver,
    /// The VM ended.
    #[error("the VM is not running")]
    NotRunning(#[source] io::Error),
}

/// Who has the keyboard.
#[derive(Default)]
pub(super) struct Keyboard(Mutex<Option<CancellationToken>>);

impl Keyboard {
    /// Gives it to the caller; the one who had it finds its turn cancelled.
    pub(super) fn take(&self, steal: bool) -> Result<Turn, ClaimError> {
        let mut holder = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match holder.as_ref() {
            Some(other) if !other.is_cancelled() && !steal => return Err(ClaimError::Taken),
            Some(other) => other.cancel(),
            None => {}
        }
        let token = CancellationToken::new();
        *holder = Some(token.clone());
        Ok(Turn(token))
    }
}

/// The keyboard, held. Released when dropped.
pub(super) struct Turn(CancellationToken);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The right to type on a console. Dropping it gives it back.
pub struct Writer {
    turn: Arc<Turn>,
    sockets: PathBuf,
    line: Option<Line>,
}

/// A connection, and the task that drops what comes back: it is in the log.
struct Line {
    write: OwnedWriteHalf,
    drain: JoinHandle<()>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.drain.abort();
    }
}

impl Writer {
    pub(super) async fn open(sockets: &Path, turn: Turn) -> Result<Self, ClaimError> {
        let line = Line::open(sockets).await.map_err(ClaimError::NotRunning)?;
        Ok(Self {
            turn: Arc::new(turn),
            sockets: sockets.to_owned(),
            line: Some(line),
        })
    }

    /// Types. Connects again where the VM was restarted in between.
    ///
    /// # Errors
    /// Where the keyboard was taken over, or the VM is not running.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        let token = self.turn.0.clone();
        tokio::select! {
            biased;
            () = token.cancelled() => {
                self.line = None;
                Err(SendError::TakenOver)
            }
            sent = self.write(bytes) => sent.map_err(SendError::NotRunning),
        }
    }

    /// Waits until another takes the keyboard over. Safe to cancel.
    pub async fn taken_over(&self) {
        self.turn.0.cancelled().await;
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self
            .line
            .as_ref()
            .is_some_and(|line| line.drain.is_finished())
        {
            self.line = None;
        }
        let line = match &mut self.line {
            Some(line) => line,
            empty => empty.insert(Line::open(&self.sockets).await?),
        };
        let written = line.write.write_all(bytes).await;
        if written.is_err() {
            self.line = None;
        }
        written
    }
}

impl Line {
    async fn open(sockets: &Path) -> io::Result<Self> {
        let (mut read, write) = connect(sockets, SOCKET).await?.into_split();
        let drain = tokio::spawn(async move {
            let mut dropped = [0; 4096];
            while matches!(read.read(&mut dropped).await, Ok(1..)) {}
        });
        Ok(Self { write, drain })
    }
}
