//! Uploads: images that come through the API, and go on after anything that interrupts them.
//!
//! The image is in the registry from the announcement on, in the phase `uploading`. Its bytes lie in a
//! hidden folder (`store`) beside a record of how many of them are durable (`record`); they are written
//! in order by one writer at a time (`desk`, `session`), and hashed as they come. When all are there
//! the keeper renames the file to its place and the image goes on to `checking`
//! (`keeper::uploads`), with its digest known.
//!
//! What is acknowledged is on disk: an offset is told only after `fdatasync` of the bytes before it.

mod begin;
mod config;
mod desk;
mod receive;
pub(crate) mod record;
pub(crate) mod refusal;
mod session;
mod space;
pub(crate) mod store;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kinglet_model::image::{ImageAction, ImagePhase};
use kinglet_model::{Digest, Id, Image, Problem};
use tokio::sync::{mpsc, oneshot};

pub use begin::MAX_LENGTH as MAX_UPLOAD;
pub use config::UploadsConfig;
pub(crate) use desk::Desk;
pub use session::Checksum;

use crate::error::LibraryError;
use crate::folder::Root;
use crate::keeper::blocking;
use crate::library::{Ask, Shared};
use record::Record;
use store::Store;

/// An upload that a client announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUpload {
    /// The file's name in the image folder.
    pub file_name: String,
    /// The image folder's name; the first one where it is absent.
    pub folder: Option<String>,
    /// Bytes in all.
    pub length: u64,
    /// The SHA-256 that they must have.
    pub sha256: Option<Digest>,
    /// Whether it can go on after the connection was lost.
    pub resumable: bool,
}

/// How far an upload is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadState {
    /// The upload, and the image.
    pub id: Id,
    /// Bytes that are on disk for certain.
    pub offset: u64,
    /// Bytes in all.
    pub length: u64,
    /// SHA-256 of the bytes on disk, where it is known.
    pub digest: Option<Digest>,
    /// When it is thrown away if nothing more comes; `None` when it is finished.
    pub expires: Option<SystemTime>,
}

/// What the keeper is asked about uploads.
pub(crate) enum UploadAsk {
    /// Make the image of an upload whose files are there.
    Begin(Box<Image>, oneshot::Sender<Result<Image, Problem>>),
    /// All bytes are there: the file takes its place.
    Place(Id, Option<Digest>, oneshot::Sender<Result<Image, Problem>>),
    /// Throw it away.
    Abandon(Id, oneshot::Sender<Result<(), Problem>>),
}

/// The uploads of a library. Clones are handles of the same.
#[derive(Clone)]
pub struct Uploads {
    shared: Arc<Shared>,
    asks: mpsc::Sender<Ask>,
}

impl Uploads {
    pub(crate) const fn new(shared: Arc<Shared>, asks: mpsc::Sender<Ask>) -> Self {
        Self { shared, asks }
    }

    /// How far an upload is. One whose bytes are all there, but whose file has not taken its place
    /// because something was in the way, tries again.
    ///
    /// # Errors
    /// Not found, or the disk's.
    pub async fn state(&self, id: Id) -> Result<UploadState, Problem> {
        let image = self.image(id).await?;
        if image.status.phase != ImagePhase::Uploading {
            return Self::finished(&image);
        }
        let record = self.record(&image).await?;
        let length = length(&image);
        if record.offset == length && !self.shared.uploads.is_busy(id) {
            return self.take_place(image).await;
        }
        Ok(self.state_of(&image, &record))
    }

    /// Throws an unfinished upload away, whoever is writing to it.
    ///
    /// # Errors
    /// Not found, or it is finished.
    pub async fn cancel(&self, id: Id) -> Result<(), Problem> {
        let image = self.image(id).await?;
        image.permit(ImageAction::Cancel)?;
        let claim = self.shared.uploads.seize(id).await;
        let _claim = claim.ok_or_else(|| refusal::busy(id))?;
        self.abandon(id).await
    }

    /// Takes up uploads whose bytes were all there when the program ended.
    pub(crate) async fn take_up(self) {
        let Ok(images) = self.shared.registry.list_all::<Image>().await else {
            // The keeper says so, and goes on trying; a client that asks takes it up too.
            return;
        };
        for image in images.items {
            if image.status.phase == ImagePhase::Uploading
                && let Err(problem) = self.state(image.metadata.id).await
            {
                tracing::warn!(image = %image.metadata.name, "{problem}");
            }
        }
    }

    fn finished(image: &Image) -> Result<UploadState, Problem> {
        let id = image.metadata.id;
        let upload = image.status.upload.as_ref();
        let upload = upload.ok_or_else(|| refusal::not_found(id))?;
        Ok(UploadState {
            id,
            offset: upload.length.bytes(),
            length: upload.length.bytes(),
            digest: image.status.sha256,
            expires: None,
        })
    }

    fn state_of(&self, image: &Image, record: &Record) -> UploadState {
        UploadState {
            id: image.metadata.id,
            offset: record.offset,
            length: length(image),
            digest: Some(record.digest()),
            expires: Some(self.expiry(record.touched)),
        }
    }

    fn expiry(&self, touched: u64) -> SystemTime {
        let since = Duration::from_secs(touched).saturating_add(self.config().lifetime);
        SystemTime::UNIX_EPOCH
            .checked_add(since)
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }

    async fn record(&self, image: &Image) -> Result<Record, Problem> {
        let id = image.metadata.id;
        self.on_disk(image, "go on with", move |store| {
            Record::read(&store.record(id)?)
        })
        .await
    }

    /// Works in the hidden folder of the image's folder, on a blocking thread.
    async fn on_disk<T: Send + 'static>(
        &self,
        image: &Image,
        doing: &str,
        work: impl FnOnce(&Store) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, Problem> {
        let shared = Arc::clone(&self.shared);
        let folder = self.folder(&image.spec.folder)?;
        let done = blocking(move || work(&Store::open(&shared.roots[folder])?)).await;
        done.ok_or_else(refusal::ending)?
            .map_err(|error| refusal::failed(doing, &image.spec.path, &error))
    }

    /// The image of an upload, finished or not.
    async fn image(&self, id: Id) -> Result<Image, Problem> {
        let image = self.shared.registry.fetch::<Image>(id).await;
        let image = image.map_err(LibraryError::from)?;
        image.ok_or_else(|| refusal::not_found(id))
    }

    async fn abandon(&self, id: Id) -> Result<(), Problem> {
        self.ask(|reply| UploadAsk::Abandon(id, reply)).await
    }

    async fn ask<T>(
        &self,
        ask: impl FnOnce(oneshot::Sender<Result<T, Problem>>) -> UploadAsk,
    ) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        let sent = self.asks.send(Ask::Upload(ask(reply))).await;
        sent.map_err(|_| refusal::ending())?;
        answer.await.map_err(|_| refusal::ending())?
    }

    fn folder(&self, name: &str) -> Result<usize, Problem> {
        let found = self.shared.folder(name);
        found.ok_or_else(|| refusal::no_folder(name))
    }

    fn root(&self, folder: usize) -> &Root {
        &self.shared.roots[folder]
    }

    fn config(&self) -> &UploadsConfig {
        &self.shared.config.uploads
    }
}

/// Bytes that were announced.
pub(crate) fn length(image: &Image) -> u64 {
    let upload = image.status.upload.as_ref();
    upload.map_or(0, |upload| upload.length.bytes())
}
