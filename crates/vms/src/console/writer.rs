//! The one who types.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

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
    keyboard: PathBuf,
    pipe: Option<pipe::Sender>,
}

impl Writer {
    pub(super) fn open(keyboard: &Path, turn: Turn) -> Result<Self, ClaimError> {
        Ok(Self {
            turn: Arc::new(turn),
            keyboard: keyboard.to_owned(),
            pipe: Some(open(keyboard).map_err(ClaimError::NotRunning)?),
        })
    }

    /// Types. Goes on at the new process where the VM was restarted in between.
    ///
    /// # Errors
    /// Where the keyboard was taken over, or the VM is not running.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<(), SendError> {
        let token = self.turn.0.clone();
        tokio::select! {
            biased;
            () = token.cancelled() => {
                self.pipe = None;
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
        if let Some(pipe) = &mut self.pipe {
            match pipe.write_all(bytes).await {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
                other => return other,
            }
        }
        self.pipe
            .insert(open(&self.keyboard)?)
            .write_all(bytes)
            .await
    }
}

/// Fails where no process reads what is typed.
fn open(keyboard: &Path) -> io::Result<pipe::Sender> {
    pipe::OpenOptions::new().open_sender(keyboard)
}
