//! What every resource has: metadata, conditions, progress.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Id, Name, Revision};

/// A kind of object that the registry keeps: metadata, a `spec` (what is wanted) and a `status`
/// (what is).
pub trait Resource: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Its name in JSON: `Image`.
    const KIND: &'static str;
    /// Its collection, in URLs and registry keys: `images`.
    const PLURAL: &'static str;

    /// Who it is.
    fn metadata(&self) -> &Metadata;

    /// Who it is, to be changed by the registry (revision) or a rename.
    fn metadata_mut(&mut self) -> &mut Metadata;

    /// Its identity.
    fn id(&self) -> Id {
        self.metadata().id
    }

    /// Its name.
    fn name(&self) -> &Name {
        &self.metadata().name
    }
}

/// Who an object is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// Its permanent identity.
    pub id: Id,
    /// Its name, unique among objects of its kind.
    pub name: Name,
    /// Free marks for people and tools.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The revision of the last change. Send it as `If-Match` to change only what you have seen.
    #[serde(default)]
    pub revision: Revision,
    /// When it was first seen or made. For people; never compared.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
}

impl Metadata {
    /// A new object's metadata: a fresh id, no labels, not yet in the registry.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Self {
            id: Id::generate(),
            name,
            labels: BTreeMap::new(),
            revision: Revision::ZERO,
            created: Timestamp::now(),
        }
    }
}

/// Something true of an object beside its phase, with a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// A stable word: `verified`, `replaced`, `unverified-digest` …
    #[schema(example = "verified")]
    pub name: String,
    /// What it means here.
    pub message: String,
}

impl Condition {
    /// A condition.
    #[must_use]
    pub fn new(name: &str, message: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            message: message.into(),
        }
    }
}

/// How far long work has come. Moves many times a second, so it is never written to the registry.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// What is being done: `hashing`, `receiving`, `starting` …
    #[schema(example = "hashing")]
    pub task: String,
    /// Bytes (or steps) done.
    pub done: u64,
    /// Bytes (or steps) in all, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Bytes a second, lately, where it makes sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
}
