//! The server: Kinglet's API, event stream, consoles and page over HTTP.
//!
//! A request comes in at the unix socket or at TCP (`listen`, `connection`), passes the guard
//! (`guard`: whom it calls us, which page made it), shows who asks (`auth`), and reaches a route
//! (`routes`), a thin typed function. What is not a route is a file of the embedded page (`page`).
//! Every "no" leaves as a problem document (`problem`).
//!
//! [`serve`] runs it; [`AppState`] is what it serves.

mod app;
mod auth;
mod config;
mod connection;
mod console;
mod error;
mod events;
mod extract;
mod guard;
mod host;
mod listen;
mod listing;
mod metrics;
mod openapi;
mod page;
mod problem;
mod process;
mod routes;
mod serve;
mod usage;

pub use app::AppState;
pub use config::{Bound, ServerConfig};
pub use error::ServeError;
pub use host::HostDesk;
pub use serve::serve;

/// The paths that the router has; for the test that holds it and the description together.
#[doc(hidden)]
#[must_use]
pub fn routed_paths() -> std::collections::BTreeSet<String> {
    routes::routed_paths()
}

/// The description of the API (OpenAPI 3.1), as `/v1/openapi.json` sends it.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes::described()
}
