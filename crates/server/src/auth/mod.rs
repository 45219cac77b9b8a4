//! Who may ask: whoever reaches the unix socket, whoever knows the token file, and a browser that
//! was signed in with a one-time token.

mod bearer;
mod cookie;
mod one_time;
mod rate;
mod secret;
mod session;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use kinglet_model::problem::ProblemKind;

pub use self::bearer::Bearer;
pub use self::cookie::SessionCookie;
pub use self::one_time::{OneTimeTokens, Verdict};
pub use self::session::Sessions;
use crate::app::App;
use crate::extract::Peer;
use crate::guard::origin::{self, Origin};
use crate::problem::{Answer, Refused};

/// Everything that can show who somebody is.
pub struct Auth {
    /// The token file's token.
    pub bearer: Bearer,
    /// Tokens that sign a browser in, once.
    pub one_time: OneTimeTokens,
    /// Browsers that are signed in.
    pub sessions: Sessions,
    /// How a browser's cookie is called.
    pub cookie: SessionCookie,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Somebody at the unix socket.
    Socket,
    /// Somebody who knows the token file.
    Bearer,
    /// A browser, with the secret of its session.
    Session(String),
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        parts.extensions.get().cloned().ok_or_else(sign_in_first)
    }
}

/// Lets through only requests of somebody known, and tells the handlers who it is.
pub async fn authenticate(
    State(app): State<Arc<App>>,
    peer: Peer,
    mut request: Request,
    next: Next,
) -> Answer<Response> {
    let caller = match peer {
        Peer::Socket => Caller::Socket,
        Peer::Tcp => claim(&app.auth, &request)?,
    };
    if let Caller::Session(secret) = &caller
        && !app.auth.sessions.renew(secret).await?
    {
        return Err(sign_in_first());
    }
    request.extensions_mut().insert(caller);
    Ok(next.run(request).await)
}

/// Who a request says it is from. A session is still to be looked up.
fn claim(auth: &Auth, request: &Request) -> Answer<Caller> {
    let headers = request.headers();
    if let Some(token) = bearer_token(headers) {
        let known = auth.bearer.is(token);
        return known.then_some(Caller::Bearer).ok_or_else(|| {
            let detail = "The token is not the one in the daemon's token file.";
            Refused::new(ProblemKind::Unauthenticated, "token-wrong", detail)
        });
    }
    let secret = auth.cookie.of(headers).ok_or_else(sign_in_first)?;
    from_our_page(request)?;
    Ok(Caller::Session(secret))
}

/// A cookie comes along whoever made the browser ask; so a change, and a WebSocket, must come from
/// our own page. Pages on other ports of this machine are the same *site*, so `SameSite` does not
/// keep them out.
fn from_our_page(request: &Request) -> Answer<()> {
    let headers = request.headers();
    let changes = !request.method().is_safe() || headers.contains_key(header::UPGRADE);
    match (origin::of(headers), origin::fetch_site(headers)) {
        (_, Some(site)) if !matches!(site, "same-origin" | "none") => Err(origin::foreign()),
        (Origin::Foreign, _) => Err(origin::foreign()),
        (Origin::Ours, _) | (Origin::Absent, Some(_)) => Ok(()),
        (Origin::Absent, None) if changes => Err(origin::foreign()),
        (Origin::Absent, None) => Ok(()),
    }
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let value = headers
        .get(header::AUTHORIZATION)?
        .to_str()
        .unwrap_or_default();
    let (scheme, token) = value.split_once(' ').unwrap_or((value, ""));
    Some(if scheme.eq_ignore_ascii_case("bearer") {
        token.trim()
    } else {
        ""
    })
}

fn sign_in_first() -> Refused {
    let detail = "You are not signed in, or your session has ended. `kinglet web` prints an \
                  address that signs this browser in.";
    Refused::new(ProblemKind::Unauthenticated, "not-signed-in", detail)
}
