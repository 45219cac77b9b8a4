//! What people ask: a scan now, a check, a deletion.

use std::os::fd::AsFd;
use std::sync::Arc;

use kinglet_model::image::{ImageAction, ImageEvent};
use kinglet_model::problem::ProblemKind;
use kinglet_model::{Id, Image, Problem, Revision};
use kinglet_registry::typed::TypedError;

use super::Keeper;
use super::sweep::blocking;
use crate::amend::{Amendment, condition, recheck, set_condition};
use crate::catalogue::Known;
use crate::error::LibraryError;
use crate::folder::remove;
use crate::library::Ask;
use crate::store::{Written, amend_one};
use crate::watch::Changes;

/// How often a change is tried against others' changes of the same image.
const TRIES: u32 = 32;

impl Keeper {
    /// Answers. Whoever asked may have gone meanwhile; then the answer is dropped.
    pub(super) async fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Refresh(reply) => {
                self.unsaved = None;
                let report = self.sweep(Changes::asked()).await;
                let unsaved = self.unsaved.take().map(LibraryError::Registry);
                let _ = reply.send(unsaved.map_or(Ok(report), Err));
            }
            Ask::Check(id, if_match, reply) => {
                let _ = reply.send(self.request_check(id, if_match).await);
            }
            Ask::Delete(id, if_match, reply) => {
                let _ = reply.send(self.request_delete(id, if_match).await);
            }
            Ask::Upload(ask) => self.answer_upload(ask).await,
        }
    }

    async fn request_check(
        &mut self,
        id: Id,
        if_match: Option<Revision>,
    ) -> Result<Image, Problem> {
        let image = self
            .change(id, if_match, ImageAction::Check, |image| {
                recheck(image, true);
            })
            .await?;
        self.checks.cancel(id);
        self.checks.be_thorough(id);
        self.wrote(written(&image));
        Ok(image)
    }

    /// First the image is marked as missing, so that nobody begins to use it; then the file goes;
    /// then the image. Killed in between, the next scan finds a file and brings its image back, or
    /// finds none and removes its image.
    async fn request_delete(&mut self, id: Id, if_match: Option<Revision>) -> Result<(), Problem> {
        let known = self.catalogue.get(id).cloned();
        let mut before = None;
        let image = self
            .change(id, if_match, ImageAction::Delete, |image| {
                before = Some(image.status.clone());
                let _ = image.apply(ImageEvent::Vanished);
                image.status.reason = Some("it is being deleted".to_owned());
                set_condition(image, condition::DELETING, "Its file is being deleted.");
            })
            .await?;
        self.wrote(written(&image));
        let Some(known) = known else {
            return Err(not_found(id));
        };
        if let Err(error) = self.unlink(&known).await {
            if let Some(status) = before {
                self.restore(id, status).await;
            }
            let detail = format!(
                "Cannot delete image {}: its file {} cannot be removed: {error}.",
                image.metadata.name, image.spec.path
            );
            return Err(Problem::new(
                ProblemKind::Internal,
                "image-not-deleted",
                detail,
            ));
        }
        let why = "It was deleted.".to_owned();
        let gone = [Amendment::Gone {
            why,
            replaced: false,
        }];
        let removed = amend_one(&self.shared.registry, id, &gone).await;
        let failed = removed
            .after
            .as_ref()
            .err()
            .map(|error| problem(error.clone()));
        self.wrote(removed);
        // What may lie at its place now is an image of its own.
        let mut changes = Changes::default();
        changes.add_place(known.place);
        self.sweep(changes).await;
        failed.map_or(Ok(()), Err)
    }

    async fn unlink(&self, known: &Known) -> Result<(), String> {
        let shared = Arc::clone(&self.shared);
        let (folder, path, print) = (known.place.folder, known.place.path.clone(), known.print);
        let removal = blocking(move || {
            let root = shared.roots[folder].directory()?;
            remove(root.as_fd(), &path, &print)
        });
        match removal.await {
            // Not there, or another file is: this one is deleted all the same.
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => Err(error.to_string()),
            None => Err("the attempt failed".to_owned()),
        }
    }

    /// Takes back that the image is being deleted.
    async fn restore(&mut self, id: Id, status: kinglet_model::image::ImageStatus) {
        if let Ok(Some(mut image)) = self.shared.registry.fetch::<Image>(id).await {
            image.status = status;
            // If this fails, the next scan finds the file and brings the image back.
            if self.shared.registry.update(&mut image).await.is_ok() {
                self.wrote(written(&image));
            }
        }
    }

    /// Changes an image if the action is possible, and the image still at the revision.
    async fn change(
        &self,
        id: Id,
        if_match: Option<Revision>,
        action: ImageAction,
        mut change: impl FnMut(&mut Image),
    ) -> Result<Image, Problem> {
        let registry = &self.shared.registry;
        let mut tries = 0;
        loop {
            let image = registry.fetch::<Image>(id).await.map_err(problem)?;
            let mut image = image.ok_or_else(|| not_found(id))?;
            if if_match.is_some_and(|wanted| wanted != image.metadata.revision) {
                return Err(problem(TypedError::Stale {
                    kind: "Image",
                    id,
                    found: image.metadata.revision,
                }));
            }
            image.permit(action)?;
            change(&mut image);
            match registry.update(&mut image).await {
                Ok(_) => return Ok(image),
                Err(TypedError::Stale { .. }) if tries < TRIES => tries += 1,
                Err(error) => return Err(problem(error)),
            }
        }
    }
}

pub(super) fn written(image: &Image) -> Written {
    Written {
        id: image.metadata.id,
        before: Some(image.metadata.name.clone()),
        after: Ok(Some(Box::new(image.clone()))),
        changed: true,
    }
}

fn not_found(id: Id) -> Problem {
    Problem::new(
        ProblemKind::NotFound,
        "image-not-found",
        format!("There is no image {id}."),
    )
}

fn problem(error: TypedError) -> Problem {
    match error {
        TypedError::Missing { id, .. } => not_found(id),
        TypedError::Stale { id, .. } => Problem::new(
            ProblemKind::Changed,
            "image-changed",
            format!("Image {id} was changed since you read it; read it again and retry."),
        ),
        error => LibraryError::Registry(error).into(),
    }
}
