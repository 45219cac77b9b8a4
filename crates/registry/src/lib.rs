//! The registry: a revisioned key-value store with watch, and the only owner of durable state.
//!
//! A change is one [`Txn`]: it names what must hold (usually the revision of what was read) and
//! what then changes; it happens as a whole, as one [`Revision`], and is acknowledged when it is
//! on disk. Every change is kept in a log until it is compacted; [`Registry::watch`] follows that
//! log from any revision that is still kept. Recovery after a crash, the event stream and the
//! activity page all come from it.
//!
//! - [`Registry`]: the handle (cheap to clone).
//! - [`typed`]: resources of `kinglet-model` instead of bytes, with unique names.
//! - [`live`]: figures that move many times a second and are never written to disk.
//! - [`backend`]: the contract that SQLite fulfils here, and etcd may in a fleet.

pub mod backend;
pub mod live;
pub mod typed;

mod entry;
mod error;
mod memory;
mod registry;
mod sqlite;
mod txn;
mod watch;

pub use kinglet_model::Revision;

pub use crate::{
    entry::{Entry, Key, KeyRange, LeaseId, MAX_KEY_LEN, MAX_VALUE_LEN, Page},
    error::{RegistryError, TxnError, WatchError},
    registry::{MAX_PAGE, Registry},
    sqlite::Options,
    txn::{Change, Committed, Expect, MAX_TXN_BYTES, MAX_TXN_OPS, Txn},
    watch::{Batch, EventKind, Watch, WatchEvent},
};
