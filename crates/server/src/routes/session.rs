//! `/v1/session` and `/v1/tokens`: how a browser signs in.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use kinglet_model::api::{OneTimeToken, SessionInfo, SessionKind, SignIn};
use kinglet_model::problem::ProblemKind;
use utoipa_axum::routes;

use super::Routes;
use crate::app::App;
use crate::auth::{Caller, Verdict};
use crate::extract::Body;
use crate::problem::{Answer, Refused};

pub fn open_routes() -> Routes {
    Routes::new().routes(routes!(sign_in))
}

pub fn routes() -> Routes {
    Routes::new()
        .routes(routes!(show, sign_out))
        .routes(routes!(token))
}

/// Sign in with a one-time token
#[utoipa::path(post, path = "/v1/session", tag = "session", operation_id = "signIn", security(()),
    request_body = SignIn,
    responses((status = 204, description = "Signed in.",
        headers(("Set-Cookie" = String, description = "The session.")))))]
async fn sign_in(State(app): State<Arc<App>>, Body(body): Body<SignIn>) -> Answer<Response> {
    match app.auth.one_time.redeem(&body.token) {
        Verdict::Good => {}
        Verdict::Wrong => {
            let detail = "This token was used before, is too old, or was never given out. \
                          `kinglet web` prints a new address.";
            return Err(Refused::new(
                ProblemKind::Unauthenticated,
                "token-wrong",
                detail,
            ));
        }
        Verdict::TooMany => return Ok(too_many()),
    }
    let secret = app.auth.sessions.open().await?;
    let cookie = app.auth.cookie.set(&secret);
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

fn too_many() -> Response {
    let detail = "Too many wrong tokens came lately. Try again in a few seconds.";
    let refused = Refused::new(ProblemKind::Refused, "too-many-attempts", detail)
        .with_status(StatusCode::TOO_MANY_REQUESTS);
    ([(header::RETRY_AFTER, "6")], refused).into_response()
}

/// Who is signed in
#[utoipa::path(get, path = "/v1/session", tag = "session", operation_id = "getSession",
    responses((status = 200, description = "You are.", body = SessionInfo)))]
async fn show(State(app): State<Arc<App>>, caller: Caller) -> Json<SessionInfo> {
    let (via, expires) = match caller {
        Caller::Socket => (SessionKind::Socket, None),
        Caller::Bearer => (SessionKind::Token, None),
        // This request was one, so its time has just begun anew.
        Caller::Session(_) => (
            SessionKind::Cookie,
            Timestamp::now().checked_add(app.auth.sessions.time()).ok(),
        ),
    };
    Json(SessionInfo { via, expires })
}

/// Sign out
#[utoipa::path(delete, path = "/v1/session", tag = "session", operation_id = "signOut",
    responses((status = 204, description = "Signed out.")))]
async fn sign_out(State(app): State<Arc<App>>, caller: Caller) -> Answer<Response> {
    if let Caller::Session(secret) = caller {
        app.auth.sessions.close(&secret).await?;
    }
    let cookie = app.auth.cookie.clear();
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie)]).into_response())
}

/// Get a token that signs one browser in, once
///
/// Only over the unix socket, or from a browser that is signed in.
#[utoipa::path(post, path = "/v1/tokens", tag = "session", operation_id = "createToken",
    responses((status = 201, description = "The token.", body = OneTimeToken)))]
async fn token(
    State(app): State<Arc<App>>,
    caller: Caller,
) -> Answer<(StatusCode, Json<OneTimeToken>)> {
    if caller == Caller::Bearer {
        let detail = "The token file does not sign browsers in. Run `kinglet web` on the daemon's \
                      machine, or ask from a browser that is signed in.";
        return Err(Refused::new(
            ProblemKind::Forbidden,
            "not-for-tokens",
            detail,
        ));
    }
    let token = app.auth.one_time.issue();
    let url = app.sign_in_url(&token);
    let expires_in_seconds = app.auth.one_time.time().as_secs();
    Ok((
        StatusCode::CREATED,
        Json(OneTimeToken {
            token,
            url,
            expires_in_seconds,
        }),
    ))
}
