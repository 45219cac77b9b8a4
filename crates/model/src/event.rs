//! What the event stream carries.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::vm::VmUsage;
use crate::{Host, Id, Image, Progress, Revision, Vm};

/// An object of any kind, told apart by its `kind` member.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Object {
    /// A disk image.
    Image(Box<Image>),
    /// A virtual machine.
    Vm(Box<Vm>),
    /// This machine.
    Host(Box<Host>),
}

// `Object` alone means "any JSON object" in a schema attribute.
type AnyObject = Object;

/// A numbered change from the registry's log. Its revision is the SSE `id`, so that a client that
/// comes back with `Last-Event-ID` misses none and sees none twice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Event {
    /// An object is now so.
    Put {
        /// The change's place in the log.
        revision: Revision,
        /// The object, with its actions.
        #[schema(value_type = AnyObject)]
        object: Object,
    },
    /// An object is gone.
    Delete {
        /// The change's place in the log.
        revision: Revision,
        /// The object's `kind`.
        kind: String,
        /// Its identity.
        id: Id,
    },
    /// The log no longer reaches back to `Last-Event-ID`: list everything again.
    Reset {
        /// Where the stream goes on.
        revision: Revision,
    },
}

/// A figure that moves too often to be numbered: sent without an SSE `id`, never replayed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum LiveEvent {
    /// Long work on an object moved, or ended (`null`).
    Progress {
        /// The object's `kind`.
        kind: String,
        /// The object.
        id: Id,
        /// How far it is.
        progress: Option<Progress>,
    },
    /// What a VM uses right now.
    Usage {
        /// The VM.
        id: Id,
        /// The figures.
        usage: VmUsage,
    },
    /// What this machine uses right now.
    Host {
        /// The figures.
        usage: crate::host::HostUsage,
    },
}
