//! The cookie that a signed-in browser carries.

use axum::http::{HeaderMap, header};

/// How the cookie is called and written. Cookies are not kept apart by port, so each daemon of a
/// machine needs a name of its own: `kinglet_session_PORT`.
pub struct SessionCookie {
    name: String,
}

impl SessionCookie {
    /// The cookie of the daemon at this port.
    pub fn for_port(port: u16) -> Self {
        Self {
            name: format!("kinglet_session_{port}"),
        }
    }

    /// The secret in a request's cookie.
    pub fn of(&self, headers: &HeaderMap) -> Option<String> {
        let lines = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        lines
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == self.name)
            .map(|(_, value)| value.to_owned())
    }

    /// `Set-Cookie` for a new session. It ends with the browser, or with the session.
    pub fn set(&self, secret: &str) -> String {
        format!("{}={secret}; HttpOnly; SameSite=Strict; Path=/", self.name)
    }

    /// `Set-Cookie` that takes it away.
    pub fn clear(&self) -> String {
        format!(
            "{}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0",
            self.name
        )
    }
}
