//! `Origin` and `Sec-Fetch-Site`: which page made the browser ask.

use axum::http::{HeaderMap, header};
use kinglet_model::problem::ProblemKind;

use crate::problem::Refused;

/// Whose page asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The browser does not say, or it is no browser.
    Absent,
    /// A page that this daemon served.
    Ours,
    /// Another page.
    Foreign,
}

/// Whose page asks, by `Origin`: it is ours when it names what `Host` names.
pub fn of(headers: &HeaderMap) -> Origin {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return Origin::Absent;
    };
    let (Ok(origin), Some(Ok(host))) = (
        origin.to_str(),
        headers.get(header::HOST).map(|host| host.to_str()),
    ) else {
        return Origin::Foreign;
    };
    // A proxy in front may speak TLS; the name and port must be the same all the same.
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    match authority {
        Some(authority) if authority.eq_ignore_ascii_case(host) => Origin::Ours,
        _ => Origin::Foreign,
    }
}

/// What the browser says of the relation between the asking page and us.
pub fn fetch_site(headers: &HeaderMap) -> Option<&str> {
    headers
        .get("sec-fetch-site")
        .map(|value| value.to_str().unwrap_or_default())
}

pub fn foreign() -> Refused {
    let detail = "Another page made your browser send this, so it was not done. Use Kinglet's own \
                  page; programs sign in with the token file instead of a cookie.";
    Refused::new(ProblemKind::Forbidden, "origin-foreign", detail)
}
