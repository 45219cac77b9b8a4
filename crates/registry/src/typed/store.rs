//! Reading and changing single objects, and listing.

use kinglet_model::{Id, Name, Resource, Revision};

use super::{TypedError, decode, explain, kind_range, name_key, object_key};
use crate::{
    entry::Key,
    error::TxnError,
    registry::{MAX_PAGE, Registry},
    txn::{Committed, Txn},
};

/// A part of the objects of a kind, in the order of their ids, which is that of their creation.
#[derive(Clone, Debug)]
pub struct List<R> {
    /// The objects.
    pub items: Vec<R>,
    /// Objects that could not be read; each is an [`TypedError::Unreadable`].
    pub unreadable: Vec<TypedError>,
    /// The registry's revision when the list was read; watch from the one after it.
    pub revision: Revision,
    /// What to pass as `after` for the next part; `None` when this was the last.
    pub next: Option<Id>,
}

/// Resources.
impl Registry {
    /// The object with this id, `None` when there is none.
    ///
    /// # Errors
    /// `Unreadable`, or the registry's.
    pub async fn fetch<R: Resource>(&self, id: Id) -> Result<Option<R>, TypedError> {
        self.get(object_key::<R>(id))
            .await?
            .as_ref()
            .map(decode)
            .transpose()
    }

    /// The object with this name, `None` when there is none.
    ///
    /// # Errors
    /// `Unreadable`, or the registry's.
    pub async fn fetch_by_name<R: Resource>(&self, name: &Name) -> Result<Option<R>, TypedError> {
        let Some(entry) = self.get(name_key::<R>(name)).await? else {
            return Ok(None);
        };
        let id = std::str::from_utf8(&entry.value)
            .ok()
            .and_then(|text| text.parse().ok());
        let Some(id) = id else {
            let reason = "it is not an id".to_owned();
            return Err(TypedError::Unreadable {
                key: entry.key,
                reason,
            });
        };
        // A rename or removal may come in between; then the object found no longer has the name.
        let object: Option<R> = self.fetch(id).await?;
        Ok(object.filter(|object| object.name() == name))
    }

    /// Up to `limit` (at most [`MAX_PAGE`]) objects after the id `after`, oldest first. One that
    /// cannot be read does not spoil the others.
    ///
    /// # Errors
    /// The registry's.
    pub async fn list<R: Resource>(
        &self,
        after: Option<Id>,
        limit: usize,
    ) -> Result<List<R>, TypedError> {
        let after = after.map(object_key::<R>);
        let page = self.range(kind_range::<R>(), after.as_ref(), limit).await?;
        let last = page
            .entries
            .iter()
            .rev()
            .find_map(|entry| id_in::<R>(&entry.key));
        let mut list = List {
            items: Vec::with_capacity(page.entries.len()),
            unreadable: Vec::new(),
            revision: page.revision,
            next: last.filter(|_| page.more),
        };
        for entry in &page.entries {
            match decode(entry) {
                Ok(object) => list.items.push(object),
                Err(error) => list.unreadable.push(error),
            }
        }
        Ok(list)
    }

    /// All objects of a kind. `revision` is that of the first part read: watching from the one
    /// after it misses nothing, and may repeat what is already in the list.
    ///
    /// # Errors
    /// The registry's.
    pub async fn list_all<R: Resource>(&self) -> Result<List<R>, TypedError> {
        let mut all = self.list::<R>(None, MAX_PAGE).await?;
        while let Some(after) = all.next {
            let part = self.list::<R>(Some(after), MAX_PAGE).await?;
            all.items.extend(part.items);
            all.unreadable.extend(part.unreadable);
            all.next = part.next;
        }
        Ok(all)
    }

    /// Stores a new object and sets its revision.
    ///
    /// # Errors
    /// `NameTaken`, `Stale` when the id exists, or the registry's.
    pub async fn create<R: Resource>(&self, object: &mut R) -> Result<Committed, TypedError> {
        self.make(Txn::new().create(object), object).await
    }

    /// Stores the changed object if it is still at `metadata.revision`, and sets the new one. The
    /// name may have changed too.
    ///
    /// # Errors
    /// `Stale`, `Missing`, `NameTaken`, or the registry's.
    pub async fn update<R: Resource>(&self, object: &mut R) -> Result<Committed, TypedError> {
        let txn = Txn::new().update(object);
        match self.txn(txn).await {
            // The name is not (or not ours) in the index: it was changed, or the object is stale.
            Err(TxnError::Conflict { key, .. }) if key == name_key::<R>(object.name()) => {
                let id = object.id();
                let kind = R::KIND;
                let stored: R = self
                    .fetch(id)
                    .await?
                    .ok_or(TypedError::Missing { kind, id })?;
                self.make(Txn::new().rename(object, stored.name()), object)
                    .await
            }
            result => accept(result, object),
        }
    }

    /// Deletes the object if it is still at `metadata.revision`.
    ///
    /// # Errors
    /// `Stale`, `Missing`, or the registry's.
    pub async fn remove<R: Resource>(&self, object: &R) -> Result<Committed, TypedError> {
        self.txn(Txn::new().remove(object))
            .await
            .map_err(|error| explain(error, object))
    }

    async fn make<R: Resource>(&self, txn: Txn, object: &mut R) -> Result<Committed, TypedError> {
        accept(self.txn(txn).await, object)
    }
}

fn accept<R: Resource>(
    result: Result<Committed, TxnError>,
    object: &mut R,
) -> Result<Committed, TypedError> {
    let committed = result.map_err(|error| explain(error, object))?;
    object.metadata_mut().revision = committed.revision;
    Ok(committed)
}

fn id_in<R: Resource>(key: &Key) -> Option<Id> {
    key.as_str()
        .strip_prefix('/')?
        .strip_prefix(R::PLURAL)?
        .strip_prefix('/')?
        .parse()
        .ok()
}
