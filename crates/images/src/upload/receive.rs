//! Bytes of an upload from whoever sends them to disk, and what comes after the last.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use kinglet_model::image::ImagePhase;
use kinglet_model::{Digest, Id, Image, Problem};
use tokio::task::JoinHandle;

use super::desk::Claim;
use super::session::{Checksum, Session};
use super::{UploadAsk, UploadState, Uploads, length, refusal};
use crate::keeper::blocking;
use crate::progress::{Reporter, show};

/// Bytes that are gathered before they are written. While one piece is written the next is gathered:
/// an upload never holds more than two, and one frame of the connection.
const PIECE: usize = 256 << 10;

/// A piece on its way to disk, and what comes back; `None` when the program is ending.
type Hand = JoinHandle<Option<(Session, Vec<u8>, io::Result<()>)>>;

/// How a body came to its end.
enum End {
    /// All of it came, or the connection broke, or somebody stopped it.
    Ended,
    /// It has more bytes than were announced.
    TooLong,
}

impl Uploads {
    /// Takes the bytes of an upload from `offset` on. Whatever ends the body (its end, a lost
    /// connection, the caller going away), what came until then is durable on return; with a checksum,
    /// only all of it or nothing. With the last byte the file takes its place.
    ///
    /// # Errors
    /// Not found; somebody else is writing; another offset than the durable one; more bytes than
    /// announced; a wrong checksum or digest; the disk's.
    pub async fn append<S>(
        &self,
        id: Id,
        offset: u64,
        checksum: Option<Checksum>,
        body: S,
    ) -> Result<UploadState, Problem>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static,
    {
        let this = self.clone();
        // A client that is gone takes its request with it, but not what it sent.
        let receiving = async move { this.receive(id, offset, checksum, body).await };
        let received = tokio::spawn(receiving).await;
        received.map_err(|_| refusal::ending())?
    }

    async fn receive<S>(
        &self,
        id: Id,
        offset: u64,
        checksum: Option<Checksum>,
        mut body: S,
    ) -> Result<UploadState, Problem>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + Unpin,
    {
        let claim = self.shared.uploads.claim(id).await;
        let claim = claim.ok_or_else(|| refusal::busy(id))?;
        let image = self.image(id).await?;
        if image.status.phase != ImagePhase::Uploading {
            let state = Self::finished(&image)?;
            return Err(refusal::wrong_offset(offset, state.offset));
        }
        let mut session = self.open(&image, checksum).await?;
        if session.offset() != offset {
            return Err(refusal::wrong_offset(offset, session.offset()));
        }
        let end;
        (session, end) = self.take_all(&image, session, &claim, &mut body).await?;
        if matches!(end, End::TooLong) && session.is_unproven() {
            return Err(refusal::too_long(length(&image)));
        }
        if !session.request_is_right() {
            return Err(refusal::wrong_checksum());
        }
        let session = self.sync(&image, session).await?;
        if matches!(end, End::TooLong) {
            return Err(refusal::too_long(length(&image)));
        }
        if session.offset() == length(&image) {
            return self.finish(&image, session).await;
        }
        Ok(UploadState {
            id,
            offset: session.offset(),
            length: length(&image),
            digest: Some(session.digest()),
            expires: Some(self.expiry(session.touched())),
        })
    }

    async fn open(&self, image: &Image, checksum: Option<Checksum>) -> Result<Session, Problem> {
        let id = image.metadata.id;
        self.on_disk(image, "go on with", move |store| {
            Session::open(store.files(id)?, checksum)
        })
        .await
    }

    /// Writes the body to its end, piece by piece.
    async fn take_all<S>(
        &self,
        image: &Image,
        session: Session,
        claim: &Claim,
        body: &mut S,
    ) -> Result<(Session, End), Problem>
    where
        S: Stream<Item = io::Result<Bytes>> + Send + Unpin,
    {
        let id = image.metadata.id;
        let total = length(image);
        let mut reporter = Reporter::new(self.shared.registry.clone(), id, "uploading");
        let mut taken = session.written;
        let mut frame = Bytes::new();
        let mut piece = Vec::with_capacity(PIECE);
        let mut hand: Hand = tokio::spawn(async move { Some((session, Vec::new(), Ok(()))) });
        let end = loop {
            let room = PIECE - usize::try_from(taken % PIECE as u64).unwrap_or(0);
            let more = self.gather(&mut piece, room, &mut frame, claim, body).await;
            if taken.saturating_add(piece.len() as u64) > total {
                break End::TooLong;
            }
            taken += piece.len() as u64;
            let (session, spare, written) =
                hand.await.ok().flatten().ok_or_else(refusal::ending)?;
            if let Err(error) = written {
                // What is not written does not count; what was, does.
                self.sync(image, session).await?;
                return Err(refusal::failed("go on with", &image.spec.path, &error));
            }
            reporter.report(taken, Some(total));
            hand = self.write(session, std::mem::replace(&mut piece, spare));
            if !more {
                break End::Ended;
            }
        };
        let (session, _, written) = hand.await.ok().flatten().ok_or_else(refusal::ending)?;
        drop(reporter);
        show(&self.shared.registry, id, "uploading", taken, total);
        if let Err(error) = written {
            self.sync(image, session).await?;
            return Err(refusal::failed("go on with", &image.spec.path, &error));
        }
        Ok((session, end))
    }

    /// Fills the piece up to `room` bytes; `false` when no more will come.
    async fn gather<S>(
        &self,
        piece: &mut Vec<u8>,
        room: usize,
        frame: &mut Bytes,
        claim: &Claim,
        body: &mut S,
    ) -> bool
    where
        S: Stream<Item = io::Result<Bytes>> + Send + Unpin,
    {
        loop {
            let part = frame.split_to(frame.len().min(room - piece.len()));
            piece.extend_from_slice(&part);
            if piece.len() == room {
                return true;
            }
            let patience = tokio::time::sleep(self.config().patience);
            let next = tokio::select! {
                next = body.next() => next,
                () = claim.stopped() => return false,
                () = patience => return false,
            };
            match next {
                Some(Ok(bytes)) => {
                    claim.heard();
                    *frame = bytes;
                }
                // A broken connection: what came before it counts.
                Some(Err(_)) | None => return false,
            }
        }
    }

    fn write(&self, mut session: Session, mut piece: Vec<u8>) -> Hand {
        let shared = Arc::clone(&self.shared);
        let now = self.config().now();
        tokio::spawn(async move {
            let turn = shared.uploads.turns.acquire().await;
            let written = tokio::task::spawn_blocking(move || {
                let result = session.write(&piece, now);
                piece.clear();
                (session, piece, result)
            });
            let written = written.await;
            drop(turn);
            written.ok()
        })
    }

    async fn sync(&self, image: &Image, mut session: Session) -> Result<Session, Problem> {
        let now = self.config().now();
        let synced = blocking(move || {
            if !session.is_unproven() {
                session.sync(now)?;
            }
            Ok(session)
        });
        let synced: io::Result<Session> = synced.await.ok_or_else(refusal::ending)?;
        synced.map_err(|error| refusal::failed("go on with", &image.spec.path, &error))
    }

    /// Takes up an upload whose bytes are all there.
    pub(super) async fn take_place(&self, image: Image) -> Result<UploadState, Problem> {
        let this = self.clone();
        let finishing = async move {
            let id = image.metadata.id;
            let claim = this.shared.uploads.claim(id).await;
            let _claim = claim.ok_or_else(|| refusal::busy(id))?;
            let session = this.open(&image, None).await?;
            this.finish(&image, session).await
        };
        let finished = tokio::spawn(finishing).await;
        finished.map_err(|_| refusal::ending())?
    }

    /// After the last byte: compares the digest, and has the file take its place.
    async fn finish(&self, image: &Image, session: Session) -> Result<UploadState, Problem> {
        let (id, total) = (image.metadata.id, length(image));
        let digest = session.digest();
        let wanted = image.status.upload.as_ref().and_then(|it| it.sha256);
        if let Some(wanted) = wanted.filter(|wanted| *wanted != digest) {
            drop(session);
            self.abandon(id).await?;
            return Err(refusal::wrong_digest(&image.spec.path, wanted, digest));
        }
        let known = self.complete(image, session, total, digest).await?;
        self.ask(|reply| UploadAsk::Place(id, known, reply)).await?;
        Ok(UploadState {
            id,
            offset: total,
            length: total,
            digest: Some(digest),
            expires: None,
        })
    }

    /// Makes the file whole; the digest, unless the file has to be read all the same: only reading
    /// proves that a compressed stream is whole.
    async fn complete(
        &self,
        image: &Image,
        session: Session,
        total: u64,
        digest: Digest,
    ) -> Result<Option<Digest>, Problem> {
        let inspect = Arc::clone(&self.shared.inspect);
        let completed = blocking(move || {
            session.complete(total)?;
            let probe = inspect.look(session.file());
            let packed = probe.is_ok_and(|probe| probe.compression.is_some());
            Ok::<_, io::Error>((!packed).then_some(digest))
        });
        let completed = completed.await.ok_or_else(refusal::ending)?;
        completed.map_err(|error| refusal::failed("finish", &image.spec.path, &error))
    }
}
