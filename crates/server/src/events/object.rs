//! The log's entries as events of objects.

use kinglet_model::event::{Event, Object};
use kinglet_model::{Host, Id, Image, Resource, Revision, Vm};
use kinglet_registry::typed::{TypedError, decode};
use kinglet_registry::{EventKind, Key, Registry, WatchEvent};

use crate::listing::{Listed, present};

/// Whether changes of this key are told. Names, sessions and what the domains keep beside their
/// objects are not.
pub fn is_public(key: &Key) -> bool {
    object_of(key).is_some()
}

/// The change as it is sent; `None` for an entry that cannot be read.
pub fn event(registry: &Registry, revision: Revision, change: &WatchEvent) -> Option<Event> {
    let (kind, id) = object_of(&change.entry.key)?;
    if change.kind == EventKind::Delete {
        return Some(Event::Delete {
            revision,
            kind: kind.to_owned(),
            id,
        });
    }
    let object = match kind {
        Image::KIND => sent::<Image>(registry, change).map(|image| Object::Image(Box::new(image))),
        Vm::KIND => sent::<Vm>(registry, change).map(|vm| Object::Vm(Box::new(vm))),
        _ => decode::<Host>(&change.entry).map(|host| Object::Host(Box::new(host))),
    };
    match object {
        Ok(object) => Some(Event::Put { revision, object }),
        Err(error) => {
            tracing::warn!(%error, "a change is left out of the event stream");
            None
        }
    }
}

fn sent<R: Listed>(registry: &Registry, change: &WatchEvent) -> Result<R, TypedError> {
    decode::<R>(&change.entry).map(|object| present(registry, object))
}

/// The kind and id in a key `/PLURAL/ID`.
pub fn object_of(key: &Key) -> Option<(&'static str, Id)> {
    let (plural, id) = key.as_str().strip_prefix('/')?.split_once('/')?;
    Some((kind(plural)?, id.parse().ok()?))
}

/// The kind with this plural.
pub fn kind(plural: &str) -> Option<&'static str> {
    [
        (Image::PLURAL, Image::KIND),
        (Vm::PLURAL, Vm::KIND),
        (Host::PLURAL, Host::KIND),
    ]
    .into_iter()
    .find_map(|(known, kind)| (known == plural).then_some(kind))
}
