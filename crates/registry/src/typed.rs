//! Resources instead of bytes: a [`Resource`] of `kinglet-model` is kept as JSON under
//! `/{PLURAL}/{id}`, and its name under `/names/{PLURAL}/{name}` in the same transaction, which
//! makes names unique. `metadata.revision` is always that of the entry, never the stored one.

use std::marker::PhantomData;

use bytes::Bytes;
use kinglet_model::{Id, Name, Resource, Revision};
use thiserror::Error;

use crate::{
    entry::{Entry, Key, KeyRange},
    error::{RegistryError, TxnError, WatchError},
    registry::{MAX_PAGE, Registry},
    txn::{Committed, Expect, Txn},
    watch::{EventKind, Watch, WatchEvent},
};

/// Why a resource could not be read or changed. A change that failed changed nothing.
#[derive(Clone, Debug, Error)]
pub enum TypedError {
    /// Another object of the kind has the name.
    #[error("there is already a {kind} named {name}; choose another name")]
    NameTaken {
        /// The kind, such as `Image`.
        kind: &'static str,
        /// The name.
        name: Name,
    },
    /// The object changed since it was read.
    #[error("the {kind} {id} was changed by someone else meanwhile; read it again and retry")]
    Stale {
        /// The kind.
        kind: &'static str,
        /// The object.
        id: Id,
        /// The revision it has now.
        found: Revision,
    },
    /// The object does not exist (any more).
    #[error("there is no {kind} {id}")]
    Missing {
        /// The kind.
        kind: &'static str,
        /// The object asked for.
        id: Id,
    },
    /// The stored object cannot be understood; it is left as it is.
    #[error("the stored object {key} cannot be read: {reason}")]
    Unreadable {
        /// Its key.
        key: Key,
        /// What the parser said.
        reason: String,
    },
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

/// The key of an object.
#[must_use]
pub fn object_key<R: Resource>(id: Id) -> Key {
    Key::from(format!("/{}/{id}", R::PLURAL))
}

/// The key that holds the id of the object with this name.
#[must_use]
pub fn name_key<R: Resource>(name: &Name) -> Key {
    Key::from(format!("/names/{}/{name}", R::PLURAL))
}

/// The keys of all objects of a kind.
#[must_use]
pub fn kind_range<R: Resource>() -> KeyRange {
    KeyRange::prefix(&format!("/{}/", R::PLURAL))
}

/// The object in an entry, with the entry's revision.
///
/// # Errors
/// `Unreadable`.
pub fn decode<R: Resource>(entry: &Entry) -> Result<R, TypedError> {
    let mut object: R =
        serde_json::from_slice(&entry.value).map_err(|error| TypedError::Unreadable {
            key: entry.key.clone(),
            reason: error.to_string(),
        })?;
    object.metadata_mut().revision = entry.modified;
    Ok(object)
}

/// Changes of resources, so that several objects change in one transaction. After it, set each
/// object's `metadata.revision` to the one committed, or read it again.
impl Txn {
    /// Create the object; neither its id nor its name may exist.
    pub fn create<R: Resource>(self, object: &R) -> Self {
        let name = name_key::<R>(object.name());
        self.require(object_key::<R>(object.id()), Expect::Absent)
            .require(&name, Expect::Absent)
            .put(&name, id_value(object))
            .put_object(object)
    }

    /// Replace the object if it is still at `metadata.revision` and has kept its name.
    pub fn update<R: Resource>(self, object: &R) -> Self {
        self.unchanged(object, object.name()).put_object(object)
    }

    /// Replace the object, which was called `old` until now, if it is still at
    /// `metadata.revision` and the new name is free.
    pub fn rename<R: Resource>(self, object: &R, old: &Name) -> Self {
        if object.name() == old {
            return self.update(object);
        }
        let name = name_key::<R>(object.name());
        self.unchanged(object, old)
            .require(&name, Expect::Absent)
            .delete(name_key::<R>(old))
            .put(&name, id_value(object))
            .put_object(object)
    }

    /// Delete the object and free its name if it is still at `metadata.revision`.
    pub fn remove<R: Resource>(self, object: &R) -> Self {
        self.unchanged(object, object.name())
            .delete(name_key::<R>(object.name()))
            .delete(object_key::<R>(object.id()))
    }

    fn unchanged<R: Resource>(self, object: &R, name: &Name) -> Self {
        let revision = object.metadata().revision;
        self.require(object_key::<R>(object.id()), Expect::Revision(revision))
            .require(name_key::<R>(name), Expect::Value(id_value(object)))
    }

    fn put_object<R: Resource>(self, object: &R) -> Self {
        let key = object_key::<R>(object.id());
        match serde_json::to_vec(object) {
            Ok(json) => self.put(key, json),
            Err(error) => {
                let reason = error.to_string();
                self.spoil(RegistryError::Unwritable { key, reason })
            }
        }
    }
}

fn id_value<R: Resource>(object: &R) -> Bytes {
    Bytes::from(object.id().to_string())
}

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

    /// What changes among the objects of a kind, from the revision on (included).
    #[must_use]
    pub fn watch_kind<R: Resource>(&self, from: Revision) -> ResourceWatch<R> {
        ResourceWatch {
            watch: self.watch(kind_range::<R>(), from),
            kind: PhantomData,
        }
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

/// Says of a failed transaction about `object` what it means for that object. For transactions
/// over several objects, call it with the one whose key is in the conflict.
pub fn explain<R: Resource>(error: TxnError, object: &R) -> TypedError {
    let (kind, id) = (R::KIND, object.id());
    match error {
        TxnError::Registry(error) => TypedError::Registry(error),
        TxnError::Conflict { found: None, .. } => TypedError::Missing { kind, id },
        TxnError::Conflict { key, .. } if key == name_key::<R>(object.name()) => {
            TypedError::NameTaken {
                kind,
                name: object.name().clone(),
            }
        }
        TxnError::Conflict {
            found: Some(found), ..
        } => TypedError::Stale { kind, id, found },
    }
}

fn id_in<R: Resource>(key: &Key) -> Option<Id> {
    key.as_str()
        .strip_prefix('/')?
        .strip_prefix(R::PLURAL)?
        .strip_prefix('/')?
        .parse()
        .ok()
}

/// One change of one object.
#[derive(Clone, Debug)]
pub enum ResourceChange<R> {
    /// The object was created or changed.
    Put {
        /// As it is since this revision.
        object: R,
        /// As it was before; `None` when it was created (or was not readable).
        previous: Option<R>,
    },
    /// The object was removed.
    Removed {
        /// As it was last, with the revision of the removal.
        object: R,
    },
    /// Something changed that cannot be read.
    Unreadable(TypedError),
}

/// A stream of changes of the objects of one kind.
pub struct ResourceWatch<R> {
    watch: Watch,
    kind: PhantomData<fn() -> R>,
}

impl<R: Resource> ResourceWatch<R> {
    /// The next revision that changed objects of the kind, with its changes; waits for one.
    /// `None` when the registry was closed. Safe to cancel.
    ///
    /// # Errors
    /// `Compacted`: list again and watch from there; or the registry's.
    pub async fn next(&mut self) -> Option<Result<(Revision, Vec<ResourceChange<R>>), WatchError>> {
        let batch = match self.watch.next().await? {
            Ok(batch) => batch,
            Err(error) => return Some(Err(error)),
        };
        Some(Ok((
            batch.revision,
            batch.events.iter().map(change).collect(),
        )))
    }
}

fn change<R: Resource>(event: &WatchEvent) -> ResourceChange<R> {
    let previous = event.previous.as_ref().map(decode::<R>);
    match (event.kind, previous) {
        (EventKind::Put, previous) => match decode(&event.entry) {
            Ok(object) => ResourceChange::Put {
                object,
                previous: previous.and_then(Result::ok),
            },
            Err(error) => ResourceChange::Unreadable(error),
        },
        (EventKind::Delete, Some(Ok(mut object))) => {
            object.metadata_mut().revision = event.entry.modified;
            ResourceChange::Removed { object }
        }
        (EventKind::Delete, Some(Err(error))) => ResourceChange::Unreadable(error),
        (EventKind::Delete, None) => ResourceChange::Unreadable(TypedError::Unreadable {
            key: event.entry.key.clone(),
            reason: "its last state is not in the log".to_owned(),
        }),
    }
}
