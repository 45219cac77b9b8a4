//! What creating, changing, renaming and removing an object mean for the keys.

use bytes::Bytes;
use kinglet_model::{Name, Resource};

use super::{name_key, object_key};
use crate::{
    error::RegistryError,
    txn::{Expect, Txn},
};

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
