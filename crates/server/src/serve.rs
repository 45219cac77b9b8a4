//! Running the server, from the first socket to the last connection.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use crate::app::{App, AppState};
use crate::config::{Bound, ServerConfig};
use crate::connection::{self, Service};
use crate::error::ServeError;
use crate::extract::Peer;
use crate::listen::{self, SocketFile};
use crate::routes;

/// How long connections have to end by themselves.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves until `shutdown` is ready. `ready` is called once, when both places are listened at.
///
/// # Errors
/// When a place cannot be listened at or the token file cannot be used; nothing was served then.
pub async fn serve(
    config: ServerConfig,
    state: AppState,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(&Bound),
) -> Result<(), ServeError> {
    let (socket, socket_file) = SocketFile::bind(&config.socket).await?;
    let tcp = listen::tcp(&config).await?;
    let address = tcp.as_ref().and_then(|tcp| tcp.local_addr().ok());
    let mut bound = Bound {
        socket: config.socket.clone(),
        address,
        sign_in: None,
    };
    let app = Arc::new(App::new(&config, &bound, state)?);
    bound.sign_in = app
        .url
        .is_some()
        .then(|| app.auth.one_time.issue())
        .and_then(|token| app.sign_in_url(&token));
    let router = routes::router(&app);
    let connections = TaskTracker::new();
    let service = |peer| {
        Service::new(
            router.clone(),
            peer,
            app.ending.clone(),
            connections.clone(),
        )
    };
    let (at_socket, at_tcp) = (service(Peer::Socket), service(Peer::Tcp));
    ready(&bound);
    tokio::select! {
        () = shutdown => {}
        () = connection::accept(&socket, &at_socket) => {}
        () = connection::accept_tcp(tcp.as_ref(), &at_tcp) => {}
    }
    app.ending.cancel();
    connections.close();
    drop((socket, tcp));
    socket_file.remove();
    if tokio::time::timeout(FAREWELL, connections.wait())
        .await
        .is_err()
    {
        tracing::info!("connections that did not end are cut off");
    }
    Ok(())
}
