//! Watching the objects of one kind.

use std::marker::PhantomData;

use kinglet_model::{Resource, Revision};

use super::{TypedError, decode, kind_range};
use crate::{
    error::WatchError,
    registry::Registry,
    watch::{EventKind, Watch, WatchEvent},
};

/// Watching resources.
impl Registry {
    /// What changes among the objects of a kind, from the revision on (included).
    #[must_use]
    pub fn watch_kind<R: Resource>(&self, from: Revision) -> ResourceWatch<R> {
        ResourceWatch {
            watch: self.watch(kind_range::<R>(), from),
            kind: PhantomData,
        }
    }
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
