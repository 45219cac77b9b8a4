//! What the server is started with.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How the server listens and whom it believes.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    /// Where the unix socket is made; its folder is made too, for the owner only.
    pub socket: PathBuf,
    /// The TCP address; port 0 takes a free one. `None`: no TCP.
    pub listen: Option<SocketAddr>,
    /// Whether an address that other machines can reach is accepted. There is no TLS yet.
    pub allow_remote: bool,
    /// Further names by which the server may be called in `Host` (a proxy's, a machine's).
    pub names: Vec<String>,
    /// The file with the token for `Authorization: Bearer`; made where it is absent.
    pub token_file: PathBuf,
    /// For how long a one-time token can be used.
    pub token_time: Duration,
    /// After how long without a request a session ends.
    pub session_time: Duration,
    /// For how long an ordinary request may run.
    pub request_time: Duration,
}

impl ServerConfig {
    /// The usual times, a socket there, no TCP.
    #[must_use]
    pub fn new(socket: PathBuf, token_file: PathBuf) -> Self {
        Self {
            socket,
            listen: None,
            allow_remote: false,
            names: Vec::new(),
            token_file,
            token_time: Duration::from_secs(10 * 60),
            session_time: Duration::from_secs(12 * 60 * 60),
            request_time: Duration::from_secs(120),
        }
    }
}

/// Where the server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The unix socket.
    pub socket: PathBuf,
    /// The TCP address, with its real port.
    pub address: Option<SocketAddr>,
    /// A sign-in address for a browser that can be used once. Absent without TCP.
    pub sign_in: Option<String>,
}
