//! The keeper's part in uploads: their images begin, take their places, or go.

use std::collections::HashSet;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kinglet_model::image::ImagePhase;
use kinglet_model::{Digest, Id, Image, Problem};

use super::sweep::blocking;
use super::{Keeper, requests};
use crate::amend::Amendment;
use crate::catalogue::Known;
use crate::error::LibraryError;
use crate::folder::{FileStat, Look, Root, look};
use crate::library::Shared;
use crate::progress::{hide, show};
use crate::store::{Batch, amend_one};
use crate::upload::record::Record;
use crate::upload::store::Store;
use crate::upload::{UploadAsk, length, refusal};

/// The longest time between two looks at unfinished uploads.
const SELDOM: Duration = Duration::from_secs(3600);

/// What was found of an upload's files.
enum Found {
    /// Bytes and record.
    Whole(Record),
    /// The file has taken its place.
    Placed(FileStat),
    /// Nothing of use.
    Lost,
    /// The folder is not there: nothing can be said.
    Unknown,
}

impl Keeper {
    /// Answers what is asked about uploads.
    pub(super) async fn answer_upload(&mut self, ask: UploadAsk) {
        match ask {
            UploadAsk::Begin(image, reply) => {
                let _ = reply.send(self.begin_upload(*image).await);
            }
            UploadAsk::Place(id, digest, reply) => {
                let _ = reply.send(self.place_upload(id, digest).await);
            }
            UploadAsk::Abandon(id, reply) => {
                let _ = reply.send(self.abandon_upload(id).await);
            }
        }
    }

    async fn begin_upload(&mut self, mut image: Image) -> Result<Image, Problem> {
        if let Some(other) = self.upload_at(&image).await {
            return Err(refusal::upload_exists(&other));
        }
        image.metadata.name = self.names.reserve(image.metadata.name);
        if let Err(error) = self.shared.registry.create(&mut image).await {
            self.names.free(&image.metadata.name);
            return Err(LibraryError::from(error).into());
        }
        self.wrote(requests::written(&image));
        let registry = &self.shared.registry;
        show(registry, image.metadata.id, "uploading", 0, length(&image));
        Ok(image)
    }

    /// The unfinished upload to the same place.
    async fn upload_at(&self, image: &Image) -> Option<Image> {
        for id in &self.uploads {
            let other = self.shared.registry.fetch::<Image>(*id).await;
            if let Ok(Some(other)) = other
                && other.spec == image.spec
            {
                return Some(other);
            }
        }
        None
    }

    /// First the rename, then the registry, then the record goes. Killed in between, the next start
    /// finds the file at its place and knows it by its inode.
    async fn place_upload(&mut self, id: Id, digest: Option<Digest>) -> Result<Image, Problem> {
        let known = self.catalogue.get(id).cloned();
        let known = known.filter(|known| known.phase == ImagePhase::Uploading);
        let known = known.ok_or_else(|| refusal::not_found(id))?;
        let path = known.place.path.to_string();
        let shared = Arc::clone(&self.shared);
        let place = known.place.clone();
        let placed = blocking(move || place_file(&shared.roots[place.folder], &known));
        let stat = match placed.await {
            Some(Ok(stat)) => stat,
            Some(Err(error)) if error.kind() == io::ErrorKind::AlreadyExists => {
                let problem = refusal::exists(&path);
                self.block_upload(id, &problem).await;
                return Err(problem);
            }
            Some(Err(error)) => return Err(refusal::failed("finish", &path, &error)),
            None => return Err(LibraryError::Stopped.into()),
        };
        let image = self.settle_upload(id, stat, digest).await?;
        self.forget_files(id, place.folder).await;
        Ok(image)
    }

    async fn settle_upload(
        &mut self,
        id: Id,
        stat: FileStat,
        digest: Option<Digest>,
    ) -> Result<Image, Problem> {
        let amendments = [Amendment::Uploaded(stat, digest)];
        let written = amend_one(&self.shared.registry, id, &amendments).await;
        let after = match &written.after {
            Ok(Some(image)) => Ok((**image).clone()),
            Ok(None) => Err(refusal::not_found(id)),
            Err(error) => Err(LibraryError::from(error.clone()).into()),
        };
        self.wrote(written);
        hide(&self.shared.registry, id);
        after
    }

    /// Says on the image why it is not finished.
    async fn block_upload(&mut self, id: Id, problem: &Problem) {
        let mut batch = Batch::default();
        batch.amend(id, Amendment::Blocked(problem.detail.clone()));
        self.write(batch).await;
    }

    /// The image first: without it the files are nobody's, and are swept.
    async fn abandon_upload(&mut self, id: Id) -> Result<(), Problem> {
        let known = self.catalogue.get(id).cloned();
        let known = known.filter(|known| known.phase == ImagePhase::Uploading);
        let known = known.ok_or_else(|| refusal::not_found(id))?;
        let gone = [Amendment::Gone {
            why: "Its upload was given up.".to_owned(),
            replaced: false,
        }];
        let removed = amend_one(&self.shared.registry, id, &gone).await;
        let failed = removed.after.as_ref().err().cloned();
        self.wrote(removed);
        hide(&self.shared.registry, id);
        if let Some(error) = failed {
            return Err(LibraryError::from(error).into());
        }
        self.forget_files(id, known.place.folder).await;
        Ok(())
    }

    async fn forget_files(&self, id: Id, folder: usize) {
        let shared = Arc::clone(&self.shared);
        let removed = blocking(move || Store::open(&shared.roots[folder])?.remove(id));
        if let Some(Err(error)) = removed.await {
            tracing::warn!(%id, %error, "the files of an upload cannot be removed; the next start tries again");
        }
    }

    /// After a start or a failure of the registry: brings the images of uploads to what lies on disk,
    /// and removes files of no upload.
    pub(super) async fn recover_uploads(&mut self) {
        for id in self.uploads.iter().copied().collect::<Vec<_>>() {
            let Ok(Some(image)) = self.shared.registry.fetch::<Image>(id).await else {
                continue;
            };
            let resumable = image.status.upload.as_ref().is_some_and(|it| it.resumable);
            match self.find_upload(id).await {
                Found::Whole(_) if self.shared.uploads.is_busy(id) => {}
                Found::Whole(record) if resumable || record.offset == length(&image) => {
                    let total = length(&image);
                    show(&self.shared.registry, id, "uploading", record.offset, total);
                }
                Found::Placed(stat) => {
                    // Its digest may not be known (it is read again then).
                    let _ = self.settle_upload(id, stat, None).await;
                }
                Found::Whole(_) | Found::Lost => {
                    tracing::info!(image = %image.metadata.name, "an upload that cannot go on is given up");
                    let _ = self.abandon_upload(id).await;
                }
                Found::Unknown => {}
            }
        }
        self.sweep_uploads().await;
        self.expire_uploads().await;
    }

    async fn find_upload(&self, id: Id) -> Found {
        let Some(known) = self.catalogue.get(id).cloned() else {
            return Found::Unknown;
        };
        let shared = Arc::clone(&self.shared);
        let found = blocking(move || find_upload(&shared, &known)).await;
        found.unwrap_or(Found::Unknown)
    }

    /// Removes files of uploads that are not in the registry.
    async fn sweep_uploads(&self) {
        let known: HashSet<Id> = self.uploads.iter().copied().collect();
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            for store in shared
                .roots
                .iter()
                .filter_map(|root| Store::open(root).ok())
            {
                for id in store.list().unwrap_or_default() {
                    if !known.contains(&id) && !shared.uploads.is_fresh(id) {
                        let _ = store.remove(id);
                    }
                }
            }
        })
        .await;
    }

    /// Throws away uploads to which nothing has come for too long, and plans the next look.
    pub(super) async fn expire_uploads(&mut self) {
        let config = &self.shared.config.uploads;
        let (now, lifetime) = (config.now(), config.lifetime);
        let mut next = SELDOM;
        for id in self.uploads.iter().copied().collect::<Vec<_>>() {
            let Found::Whole(record) = self.find_upload(id).await else {
                continue;
            };
            let age = Duration::from_secs(now.saturating_sub(record.touched));
            match lifetime.checked_sub(age).filter(|left| !left.is_zero()) {
                Some(left) => next = next.min(left),
                None if self.shared.uploads.is_busy(id) => {}
                None => {
                    tracing::info!(%id, "an upload has expired");
                    let _ = self.abandon_upload(id).await;
                }
            }
        }
        let pause = next.max(Duration::from_secs(1));
        self.expiry_due = (!self.uploads.is_empty()).then(|| Instant::now() + pause);
    }
}

fn place_file(root: &Root, known: &Known) -> io::Result<FileStat> {
    let directory = root.directory()?;
    let path = &known.place.path;
    Store::open(root)?.place(known.id, directory.as_fd(), path)?;
    match look(directory.as_fd(), path) {
        Look::File(stat) => Ok(stat),
        Look::Failed(error) => Err(error),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

fn find_upload(shared: &Shared, known: &Known) -> Found {
    let root = &shared.roots[known.place.folder];
    let Ok(directory) = root.directory() else {
        return Found::Unknown;
    };
    let store = match Store::open(root) {
        Ok(store) => Some(store),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(_) => return Found::Unknown,
    };
    match store.as_ref().map(|store| store.stat(known.id)).transpose() {
        Ok(Some(Some(_))) => {}
        Ok(_) => return placed(&look(directory.as_fd(), &known.place.path), known),
        Err(_) => return Found::Unknown,
    }
    let record = store.map(|store| Record::read(&store.record(known.id)?));
    match record {
        Some(Ok(record)) => Found::Whole(record),
        _ => Found::Lost,
    }
}

fn placed(look: &Look, known: &Known) -> Found {
    match look {
        Look::File(stat) if stat.print.identity() == known.print.identity() => Found::Placed(*stat),
        _ => Found::Lost,
    }
}
