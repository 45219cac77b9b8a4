//! The page: files embedded at build time, compressed then.

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::guard;
use crate::problem::{self, no_such_path};

/// A file of the page.
pub struct File {
    path: &'static str,
    bytes: &'static [u8],
    gzip: Option<&'static [u8]>,
    etag: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// Serves a file of the page; the page itself for paths that only the page knows.
pub async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path();
    if guard::is_api(path) {
        return no_such_path(path).into_response();
    }
    if !matches!(method, Method::GET | Method::HEAD) {
        let refused = problem::method_not_allowed(method).await;
        return ([(header::ALLOW, "GET, HEAD")], refused).into_response();
    }
    let name = path.trim_start_matches('/');
    match find(name).or_else(|| is_page(name).then(|| find("index.html")).flatten()) {
        Some(file) => file.answer(&headers),
        None => no_such_path(path).into_response(),
    }
}

fn find(name: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == name)
}

/// Whether a path is one of the page's own places (`/vms/web-1/console`) and not a missing file.
fn is_page(name: &str) -> bool {
    !name.rsplit('/').next().unwrap_or_default().contains('.')
}

impl File {
    fn answer(&'static self, headers: &HeaderMap) -> Response {
        let fixed = [
            (header::ETAG, self.etag),
            (header::CACHE_CONTROL, self.cache()),
            (header::VARY, "accept-encoding"),
        ];
        if is_known(headers, self.etag) {
            return (StatusCode::NOT_MODIFIED, fixed).into_response();
        }
        let kind = [(header::CONTENT_TYPE, content_type(self.path))];
        match self.gzip.filter(|_| takes_gzip(headers)) {
            Some(packed) => {
                let encoding = [(header::CONTENT_ENCODING, "gzip")];
                (fixed, kind, encoding, packed).into_response()
            }
            None => (fixed, kind, self.bytes).into_response(),
        }
    }

    /// Files in `assets/` have a digest in their name; a changed one has another name.
    fn cache(&self) -> &'static str {
        if self.path.starts_with("assets/") {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        }
    }
}

fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    known.is_some_and(|known| {
        known
            .split(',')
            .any(|one| one.trim().trim_start_matches("W/") == etag || one.trim() == "*")
    })
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get(header::ACCEPT_ENCODING)
        .map(HeaderValue::to_str);
    matches!(accepted, Some(Ok(accepted)) if accepted.split(',').any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        name.trim() == "gzip" && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    }))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
