//! Writes changes of images to the registry: many in a transaction, each applied to the newest object
//! and made only if that is still the newest.

use std::collections::BTreeMap;

use kinglet_model::{Id, Image, Name};
use kinglet_registry::typed::TypedError;
use kinglet_registry::{Registry, Txn, TxnError};

use crate::amend::{Amendment, Fate};

/// Objects in one transaction: large enough that syncing the disk does not count, small enough that
/// others' writes get in between.
const IN_ONE: usize = 256;

/// How often a change is tried against others' changes of the same object.
const TRIES: u32 = 32;

/// Changes to be written.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// New images.
    pub(crate) create: Vec<Image>,
    /// Changes of images, in their order.
    pub(crate) amend: BTreeMap<Id, Vec<Amendment>>,
}

impl Batch {
    /// Adds a change.
    pub(crate) fn amend(&mut self, id: Id, amendment: Amendment) {
        self.amend.entry(id).or_default().push(amendment);
    }
}

/// What became of one change.
#[derive(Debug)]
pub(crate) struct Written {
    /// The image.
    pub(crate) id: Id,
    /// The name that it had in the registry, or was to have.
    pub(crate) before: Option<Name>,
    /// As it is now; `None` when it is no longer there.
    pub(crate) after: Result<Option<Box<Image>>, TypedError>,
    /// Whether anything was written.
    pub(crate) changed: bool,
}

/// An image with its changes applied, to be written.
struct Draft {
    id: Id,
    before: Option<Name>,
    image: Box<Image>,
    fate: Fate,
}

/// Writes them. One that fails does not spoil the others.
pub(crate) async fn commit(registry: &Registry, batch: Batch) -> Vec<Written> {
    let mut written = Vec::new();
    let amend: Vec<_> = batch.amend.into_iter().collect();
    for part in amend.chunks(IN_ONE) {
        amend_part(registry, part, &mut written).await;
    }
    let mut create = batch.create.into_iter();
    loop {
        let part: Vec<_> = create.by_ref().take(IN_ONE).collect();
        if part.is_empty() {
            return written;
        }
        create_part(registry, part, &mut written).await;
    }
}

/// Changes one image; as [`commit`].
pub(crate) async fn amend_one(registry: &Registry, id: Id, amendments: &[Amendment]) -> Written {
    let mut tries = 0;
    loop {
        let draft = match draft(registry, id, amendments).await {
            Ok(draft) => draft,
            Err(written) => return *written,
        };
        let result = registry.txn(draft.txn(Txn::new())).await;
        match result {
            Ok(committed) => return draft.written(committed.revision),
            Err(TxnError::Conflict { .. }) if tries < TRIES => tries += 1,
            Err(error) => {
                let after = Err(kinglet_registry::typed::explain(error, &*draft.image));
                return Written {
                    id,
                    before: draft.before,
                    after,
                    changed: false,
                };
            }
        }
    }
}

async fn amend_part(
    registry: &Registry,
    part: &[(Id, Vec<Amendment>)],
    written: &mut Vec<Written>,
) {
    let mut puts = Vec::new();
    let mut removals = Vec::new();
    for (id, amendments) in part {
        match draft(registry, *id, amendments).await {
            Ok(draft) if draft.fate == Fate::Remove => removals.push(draft),
            Ok(draft) => puts.push(draft),
            Err(done) => written.push(*done),
        }
    }
    // Removals first: they free names that the others may have been given.
    for drafts in [removals, puts] {
        let txn = drafts.iter().fold(Txn::new(), |txn, draft| draft.txn(txn));
        if drafts.is_empty() {
            continue;
        }
        if let Ok(committed) = registry.txn(txn).await {
            written.extend(
                drafts
                    .into_iter()
                    .map(|draft| draft.written(committed.revision)),
            );
            continue;
        }
        for draft in drafts {
            let own = part.iter().find(|(id, _)| *id == draft.id);
            let amendments = own.map_or(&[][..], |(_, amendments)| amendments);
            written.push(amend_one(registry, draft.id, amendments).await);
        }
    }
}

async fn create_part(registry: &Registry, part: Vec<Image>, written: &mut Vec<Written>) {
    let txn = part.iter().fold(Txn::new(), |txn, image| txn.create(image));
    if let Ok(committed) = registry.txn(txn).await {
        written.extend(part.into_iter().map(|image| {
            let draft = Draft {
                id: image.metadata.id,
                before: None,
                image: Box::new(image),
                fate: Fate::Put,
            };
            draft.written(committed.revision)
        }));
        return;
    }
    for mut image in part {
        let result = registry.create(&mut image).await;
        written.push(Written {
            id: image.metadata.id,
            before: Some(image.metadata.name.clone()),
            changed: result.is_ok(),
            after: result.map(|_| Some(Box::new(image))),
        });
    }
}

/// The image with the amendments applied; or at once what became of it, where nothing is to be
/// written.
async fn draft(
    registry: &Registry,
    id: Id,
    amendments: &[Amendment],
) -> Result<Draft, Box<Written>> {
    let done = |after, before| {
        Box::new(Written {
            id,
            before,
            after,
            changed: false,
        })
    };
    let mut image: Image = match registry.fetch(id).await {
        Ok(Some(image)) => image,
        Ok(None) => return Err(done(Ok(None), None)),
        Err(error) => return Err(done(Err(error), None)),
    };
    let before = image.metadata.name.clone();
    let mut fate = Fate::Keep;
    for amendment in amendments {
        match amendment.apply(&mut image) {
            Fate::Keep => {}
            Fate::Put => fate = Fate::Put,
            Fate::Remove => {
                fate = Fate::Remove;
                break;
            }
        }
    }
    let image = Box::new(image.stored());
    if fate == Fate::Keep {
        return Err(done(Ok(Some(image)), Some(before)));
    }
    Ok(Draft {
        id,
        before: Some(before),
        image,
        fate,
    })
}

impl Draft {
    fn txn(&self, txn: Txn) -> Txn {
        match (self.fate, &self.before) {
            (Fate::Remove, Some(before)) => {
                let mut image = self.image.clone();
                image.metadata.name = before.clone();
                txn.remove(&*image)
            }
            (_, Some(before)) => txn.rename(&*self.image, before),
            (_, None) => txn.create(&*self.image),
        }
    }

    fn written(mut self, revision: kinglet_model::Revision) -> Written {
        self.image.metadata.revision = revision;
        let after = Ok((self.fate != Fate::Remove).then_some(self.image));
        Written {
            id: self.id,
            before: self.before,
            after,
            changed: true,
        }
    }
}
