//! What is known of the files, in short: enough to tell whether a file is new, the same, changed or
//! renamed without asking the registry. The objects themselves stay in the registry.

use std::collections::HashMap;

use kinglet_model::image::ImagePhase;
use kinglet_model::{Id, Image, Name};

use crate::fingerprint::Fingerprint;
use crate::path::RelPath;
use crate::watch::Place;

/// One image, in short.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// The image.
    pub(crate) id: Id,
    /// The image's name.
    pub(crate) name: Name,
    /// Where its file is, or was last.
    pub(crate) place: Place,
    /// What its file looked like when it was last looked at.
    pub(crate) print: Fingerprint,
    /// The image's phase in the registry.
    pub(crate) phase: ImagePhase,
    /// Whether its digest is known.
    pub(crate) hashed: bool,
}

impl Known {
    /// From the registry's object, whose folder has this number. An object that does not say what
    /// its file looked like is taken for one whose file has changed.
    pub(crate) fn of(image: &Image, folder: usize) -> Option<Self> {
        let print = image
            .status
            .fingerprint
            .as_deref()
            .and_then(|text| text.parse().ok());
        Some(Self {
            id: image.metadata.id,
            name: image.metadata.name.clone(),
            place: Place {
                folder,
                path: RelPath::parse(&image.spec.path)?,
            },
            print: print.unwrap_or_default(),
            phase: image.status.phase,
            hashed: image.status.sha256.is_some(),
        })
    }
}

/// All images, by id, by place and by the identity of their files.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    known: HashMap<Id, Known>,
    by_place: HashMap<Place, Id>,
    by_identity: HashMap<(u64, i64), Vec<Id>>,
}

impl Catalogue {
    /// Adds an image, or replaces what was known of it. One whose file is missing, or not there yet,
    /// has no place.
    pub(crate) fn insert(&mut self, known: Known) {
        self.forget(known.id);
        self.by_identity
            .entry(known.print.identity())
            .or_default()
            .push(known.id);
        if known.phase != ImagePhase::Missing && known.phase.has_place() {
            self.by_place.insert(known.place.clone(), known.id);
        }
        self.known.insert(known.id, known);
    }

    /// Removes an image.
    pub(crate) fn forget(&mut self, id: Id) -> Option<Known> {
        let known = self.known.remove(&id)?;
        let identity = known.print.identity();
        if let Some(ids) = self.by_identity.get_mut(&identity) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_identity.remove(&identity);
            }
        }
        if self.by_place.get(&known.place) == Some(&id) {
            self.by_place.remove(&known.place);
        }
        Some(known)
    }

    /// The image with this id.
    pub(crate) fn get(&self, id: Id) -> Option<&Known> {
        self.known.get(&id)
    }

    /// The image whose file is at the place.
    pub(crate) fn at(&self, place: &Place) -> Option<&Known> {
        self.by_place.get(place).and_then(|id| self.known.get(id))
    }

    /// The images whose file this is, wherever it was last.
    pub(crate) fn of_file<'a>(&'a self, print: &'a Fingerprint) -> impl Iterator<Item = &'a Known> {
        self.by_identity
            .get(&print.identity())
            .into_iter()
            .flatten()
            .filter_map(|id| self.known.get(id))
            .filter(|known| known.phase.has_place() && known.print.same_file(print))
    }

    /// Every image.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Known> {
        self.known.values()
    }
}
