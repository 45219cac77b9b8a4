//! Why the server could not be started.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use thiserror::Error;

/// Why the server could not be started.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Another daemon answers at the socket.
    #[error(
        "another daemon is already running at {}; stop it, or give this one a data folder and a \
         socket of its own", .0.display()
    )]
    AlreadyRunning(PathBuf),
    /// Something that is no socket is in the way.
    #[error(
        "{} is there and is not a socket; move it away, or choose another place with --socket",
        .0.display()
    )]
    InTheWay(PathBuf),
    /// The unix socket could not be made.
    #[error("the socket {} could not be made: {why}", path.display())]
    Socket {
        /// Where.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
    /// An address that other machines can reach.
    #[error(
        "{0} can be reached from other machines, and Kinglet has no TLS yet: whoever sees the \
         traffic could take over this host. Listen on 127.0.0.1 and use an SSH tunnel; or, where \
         the network is trusted, set allow_remote = true in the configuration"
    )]
    Remote(SocketAddr),
    /// The TCP address could not be taken.
    #[error("cannot listen on {address}: {why}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why, and what to do.
        why: String,
    },
    /// The token file could not be read or made.
    #[error("the token file {} cannot be used: {why}", path.display())]
    TokenFile {
        /// Where.
        path: PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] kinglet_registry::typed::TypedError),
}
