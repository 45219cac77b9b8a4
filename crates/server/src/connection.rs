//! Connections: accepted, served, and ended when the server ends.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;

use crate::extract::Peer;

/// How many connections are open at most at each place; further ones wait.
const MAX_CONNECTIONS: usize = 1024;

/// How long a client may take to send a request's head, or to send another request.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// The most of a request's head that is kept.
const MAX_HEAD: usize = 64 << 10;

/// How long nothing is accepted after it failed (too many files are open).
const PAUSE: Duration = Duration::from_millis(200);

/// What serves the connections of one place.
#[derive(Clone)]
pub struct Service {
    router: Router,
    peer: Peer,
    ending: CancellationToken,
    connections: TaskTracker,
    room: Arc<Semaphore>,
}

impl Service {
    pub fn new(
        router: Router,
        peer: Peer,
        ending: CancellationToken,
        connections: TaskTracker,
    ) -> Self {
        Self {
            router,
            peer,
            ending,
            connections,
            room: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        }
    }

    fn spawn(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        room: OwnedSemaphorePermit,
    ) {
        let service = self.clone();
        self.connections.spawn(async move {
            service.run(stream).await;
            drop(room);
        });
    }

    async fn run(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        let (router, peer) = (self.router.clone(), self.peer);
        let handler = hyper::service::service_fn(move |request: Request<Incoming>| {
            answer(router.clone(), peer, request)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(stream), handler)
            .with_upgrades();
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.ending.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection broke");
        }
    }

    async fn room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.room).acquire_owned().await.ok()
    }
}

async fn answer(
    mut router: Router,
    peer: Peer,
    mut request: Request<Incoming>,
) -> Result<Response, Infallible> {
    request.extensions_mut().insert(peer);
    // A router is always ready.
    router.call(request.map(Body::new)).await
}

/// Accepts at the unix socket, for ever.
pub async fn accept(listener: &UnixListener, service: &Service) {
    while let Some(room) = service.room().await {
        match listener.accept().await {
            Ok((stream, _)) => service.spawn(stream, room),
            Err(error) => failed(&error).await,
        }
    }
}

/// Accepts at TCP, for ever; waits for ever where there is none.
pub async fn accept_tcp(listener: Option<&TcpListener>, service: &Service) {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    while let Some(room) = service.room().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                // What is typed on a console should not wait for company.
                let _ = stream.set_nodelay(true);
                service.spawn(stream, room);
            }
            Err(error) => failed(&error).await,
        }
    }
}

async fn failed(error: &std::io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(PAUSE).await;
}
