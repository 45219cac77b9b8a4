//! What every request goes through before a route sees it, and every answer before it leaves.

pub mod headers;
pub mod host;
pub mod origin;
pub mod time;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::extract::Peer;
use crate::problem::{Answer, Refused};

/// Refuses requests from places that should not ask, counts, and puts the security headers on.
pub async fn guard(
    State(app): State<Arc<App>>,
    peer: Peer,
    request: Request,
    next: Next,
) -> Response {
    let api = is_api(request.uri().path());
    let admitted = match peer {
        Peer::Socket => Ok(()),
        Peer::Tcp => admit(&app, &request),
    };
    let mut response = match admitted {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    };
    app.metrics.count(response.status());
    headers::secure(response.headers_mut(), api);
    response
}

/// Whether a path belongs to the API and not to the page.
pub fn is_api(path: &str) -> bool {
    path == "/v1" || path.starts_with("/v1/") || path == "/metrics" || path == "/healthz"
}

fn admit(app: &App, request: &Request) -> Answer<()> {
    let headers = request.headers();
    if !app.hosts.admit(headers) {
        return Err(host::foreign());
    }
    let matters = !request.method().is_safe() || headers.contains_key(header::UPGRADE);
    if matters && origin::of(headers) == origin::Origin::Foreign {
        return Err(origin::foreign());
    }
    Ok(())
}

impl From<Refused> for Response {
    fn from(refused: Refused) -> Self {
        refused.into_response()
    }
}
