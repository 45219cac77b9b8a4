//! The file that is uploaded, read and hashed on a blocking thread.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::failure::{Failure, Outcome};

/// Bytes that are read at a time; a few of these wait to be sent.
const PIECE: usize = 256 << 10;
const WAITING: usize = 4;

/// The file.
pub struct Source {
    pub path: PathBuf,
    pub length: u64,
    file: Arc<File>,
}

impl Source {
    /// Opens a regular file.
    pub fn open(path: &Path) -> Outcome<Self> {
        let failed = |why: String| {
            let shown = path.display();
            Failure::failed(format!("{shown} cannot be uploaded: {why}"))
        };
        let file = File::open(path).map_err(|error| failed(error.to_string()))?;
        let metadata = file.metadata().map_err(|error| failed(error.to_string()))?;
        if !metadata.is_file() {
            return Err(failed("it is not a regular file".to_owned()));
        }
        Ok(Self {
            path: path.to_owned(),
            length: metadata.len(),
            file: Arc::new(file),
        })
    }

    /// Sees that it has the size that was announced.
    pub fn unchanged(&self) -> Outcome {
        if self.file.metadata()?.len() == self.length {
            return Ok(());
        }
        let shown = self.path.display();
        Err(Failure::failed(format!(
            "{shown} changed while it was uploaded; cancel the upload with `kinglet image cancel`, and begin again"
        )))
    }

    /// SHA-256 of its first bytes, to be continued.
    pub async fn hash_to(&self, offset: u64) -> Outcome<Sha256> {
        let file = Arc::clone(&self.file);
        let hashing = tokio::task::spawn_blocking(move || {
            let mut hash = Sha256::new();
            let mut piece = vec![0; PIECE];
            let mut at = 0;
            while at < offset {
                let room = room(offset - at);
                file.read_exact_at(&mut piece[..room], at)?;
                hash.update(&piece[..room]);
                at += room as u64;
            }
            Ok::<_, io::Error>(hash)
        });
        let hash = hashing
            .await
            .map_err(|error| Failure::failed(error.to_string()))?;
        Ok(hash?)
    }

    /// Its bytes from `offset` on, as they are taken; and their SHA-256 continued from `hash`, when all
    /// were. `done` is told how far it is.
    pub fn read_from<F: Fn(u64) + Send + 'static>(
        &self,
        offset: u64,
        hash: Sha256,
        done: F,
    ) -> (
        impl Stream<Item = io::Result<Bytes>> + Send + 'static + use<F>,
        JoinHandle<io::Result<Sha256>>,
    ) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let (file, length) = (Arc::clone(&self.file), self.length);
        let reading = tokio::task::spawn_blocking(move || {
            let read = read(&file, offset..length, hash, &sender, done);
            if let Err(error) = &read {
                let error = io::Error::new(error.kind(), error.to_string());
                // Whoever takes them may be gone, which is what the error says then.
                let _ = sender.blocking_send(Err(error));
            }
            read
        });
        let bytes = futures::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|bytes| (bytes, receiver))
        });
        (bytes, reading)
    }
}

fn read(
    file: &File,
    range: std::ops::Range<u64>,
    mut hash: Sha256,
    sender: &mpsc::Sender<io::Result<Bytes>>,
    done: impl Fn(u64),
) -> io::Result<Sha256> {
    let mut at = range.start;
    while at < range.end {
        let mut piece = vec![0; room(range.end - at)];
        file.read_exact_at(&mut piece, at)?;
        hash.update(&piece);
        at += piece.len() as u64;
        let sent = sender.blocking_send(Ok(Bytes::from(piece)));
        sent.map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        done(at);
    }
    Ok(hash)
}

/// How much of what is left is read at once.
fn room(left: u64) -> usize {
    usize::try_from(left).unwrap_or(PIECE).min(PIECE)
}
