//! The typed client of Kinglet's API, over the daemon's unix socket or over TCP.
//!
//! - [`Client`]: one method for each thing the API does.
//! - [`Place`]: where the daemon is.
//! - [`EventStream`]: the event stream, which goes on by itself after a lost connection.
//! - [`ConsoleSocket`]: a VM's console.
//!
//! A connection serves one request. On a loopback or a unix socket that costs next to nothing, and
//! there is no pool whose idle connections could turn out to be dead.

mod client;
mod console;
mod error;
mod events;
mod list;
mod place;
mod sse;
mod transport;
mod upload;

pub use client::{Client, ConsoleLog};
pub use console::{ConsoleFrame, ConsoleFrom, ConsoleSocket};
pub use error::ClientError;
pub use events::{EventStream, StreamItem};
pub use list::{ListOptions, Listing};
pub use place::{Place, PlaceError};
pub use upload::{NewUpload, UploadState};
