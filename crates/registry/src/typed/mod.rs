//! Resources instead of bytes: a [`Resource`] of `kinglet-model` is kept as JSON under
//! `/{PLURAL}/{id}`, and its name under `/names/{PLURAL}/{name}` in the same transaction, which
//! makes names unique. `metadata.revision` is always that of the entry, never the stored one.

mod change;
mod store;
mod watch;

use kinglet_model::{Id, Name, Resource, Revision};
use thiserror::Error;

pub use self::{
    store::List,
    watch::{ResourceChange, ResourceWatch},
};
use crate::{
    entry::{Entry, Key, KeyRange},
    error::{RegistryError, TxnError},
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

/// Where the index of names lies; whoever watches everything passes over these keys.
pub const NAMES: &str = "/names/";

/// The key that holds the id of the object with this name.
#[must_use]
pub fn name_key<R: Resource>(name: &Name) -> Key {
    Key::from(format!("{NAMES}{}/{name}", R::PLURAL))
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
