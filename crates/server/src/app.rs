//! What the routes share.

use std::sync::Arc;
use std::time::Duration;

use kinglet_images::Library;
use kinglet_registry::Registry;
use kinglet_vms::Machines;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::auth::{Auth, Bearer, OneTimeTokens, SessionCookie, Sessions};
use crate::config::{Bound, ServerConfig};
use crate::error::ServeError;
use crate::guard::host::Hosts;
use crate::host::HostDesk;
use crate::metrics::Metrics;
use crate::usage::UsageSampling;

/// How many event streams and consoles are open at most, each.
const MAX_STREAMS: usize = 256;

/// What the server serves: the parts of the daemon.
#[derive(Clone)]
pub struct AppState {
    /// The registry, which every other part writes to.
    pub registry: Registry,
    /// The image library.
    pub library: Library,
    /// The VMs.
    pub machines: Machines,
    /// The machine.
    pub host: HostDesk,
}

/// What the routes share.
pub struct App {
    pub registry: Registry,
    pub library: Library,
    pub machines: Machines,
    pub host: HostDesk,
    pub auth: Auth,
    pub hosts: Hosts,
    pub metrics: Metrics,
    pub usage: UsageSampling,
    pub streams: Arc<Semaphore>,
    pub consoles: Arc<Semaphore>,
    /// One look through the image folders at a time is enough for all who list them.
    refreshing: Arc<Semaphore>,
    pub request_time: Duration,
    /// The TCP address as a URL.
    pub url: Option<String>,
    /// Cancelled when the server ends: whatever streams must end then.
    pub ending: CancellationToken,
}

impl App {
    /// Puts the parts together.
    ///
    /// # Errors
    /// When the token file cannot be used.
    pub fn new(config: &ServerConfig, bound: &Bound, state: AppState) -> Result<Self, ServeError> {
        let AppState {
            registry,
            library,
            machines,
            host,
        } = state;
        let port = bound.address.map_or(0, |address| address.port());
        let auth = Auth {
            bearer: Bearer::open(&config.token_file)?,
            one_time: OneTimeTokens::new(config.token_time),
            sessions: Sessions::new(registry.clone(), config.session_time),
            cookie: SessionCookie::for_port(port),
        };
        Ok(Self {
            auth,
            hosts: Hosts::new(bound.address, &config.names),
            metrics: Metrics::default(),
            usage: UsageSampling::new(registry.clone(), machines.clone(), host.data().to_owned()),
            streams: Arc::new(Semaphore::new(MAX_STREAMS)),
            consoles: Arc::new(Semaphore::new(MAX_STREAMS)),
            refreshing: Arc::new(Semaphore::new(1)),
            request_time: config.request_time,
            url: bound
                .address
                .map(|address| format!("http://{}", reachable(address))),
            ending: CancellationToken::new(),
            registry,
            library,
            machines,
            host,
        })
    }

    /// Has the image folders looked through, without waiting for it.
    pub fn refresh_soon(&self) {
        let Ok(turn) = Arc::clone(&self.refreshing).try_acquire_owned() else {
            return;
        };
        let library = self.library.clone();
        tokio::spawn(async move {
            let _turn = turn;
            if let Err(error) = library.refresh().await {
                tracing::warn!(%error, "the image folders could not be looked through");
            }
        });
    }

    /// The page's address that signs one browser in, once.
    pub fn sign_in_url(&self, token: &str) -> Option<String> {
        self.url.as_ref().map(|url| format!("{url}/#token={token}"))
    }
}

/// An address that a browser on this machine can use.
fn reachable(address: std::net::SocketAddr) -> String {
    if address.ip().is_unspecified() {
        return format!("127.0.0.1:{}", address.port());
    }
    address.to_string()
}
