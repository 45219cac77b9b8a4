//! Where a daemon is: a unix socket, or an address and a token.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// Where a daemon is.
#[derive(Clone, PartialEq, Eq)]
pub enum Place {
    /// A unix socket, which only its owner can open; no token is needed.
    Socket(PathBuf),
    /// TCP, with the token from the daemon's token file.
    Tcp {
        /// A name or address, IPv6 without brackets.
        host: String,
        /// The port.
        port: u16,
        /// What is sent as `Authorization: Bearer`.
        token: Option<String>,
    },
}

/// Why a text is not the URL of a daemon.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlaceError {
    /// Not `http://HOST:PORT`.
    #[error("{0:?} is not the URL of a daemon; write http://HOST:PORT")]
    Form(String),
    /// `https`, which Kinglet does not speak yet.
    #[error(
        "Kinglet has no TLS yet; reach a remote daemon through an SSH tunnel: \
         ssh -L 7480:127.0.0.1:7480 HOST, then http://127.0.0.1:7480"
    )]
    Tls,
}

impl Place {
    /// The place with this URL (`http://HOST:PORT`, port 80 where it is absent).
    ///
    /// # Errors
    /// When the text is not such a URL.
    pub fn from_url(url: &str, token: Option<String>) -> Result<Self, PlaceError> {
        if url.starts_with("https://") {
            return Err(PlaceError::Tls);
        }
        let form = || PlaceError::Form(url.chars().take(80).collect());
        let authority = url.strip_prefix("http://").ok_or_else(form)?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let (host, port) = split_authority(authority).ok_or_else(form)?;
        Ok(Self::Tcp {
            host: host.to_owned(),
            port,
            token,
        })
    }

    /// What goes into the `Host` header.
    #[must_use]
    pub(crate) fn authority(&self) -> String {
        match self {
            Self::Socket(_) => "localhost".to_owned(),
            Self::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port, .. } => format!("{host}:{port}"),
        }
    }

    pub(crate) fn token(&self) -> Option<&str> {
        match self {
            Self::Socket(_) => None,
            Self::Tcp { token, .. } => token.as_deref(),
        }
    }
}

fn split_authority(authority: &str) -> Option<(&str, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (
                host,
                rest.strip_prefix(':').or(rest.is_empty().then_some("80"))?,
            )
        }
        None => authority.split_once(':').unwrap_or((authority, "80")),
    };
    let is_host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    let good = !host.is_empty() && host.chars().all(is_host);
    let digits = port.bytes().all(|b| b.is_ascii_digit());
    (good && digits).then_some(())?;
    Some((host, port.parse().ok().filter(|port| *port != 0)?))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => path.display().fmt(f),
            Self::Tcp { .. } => write!(f, "http://{}", self.authority()),
        }
    }
}

impl fmt::Debug for Place {
    /// Without the token, so that it does not end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_reads_hosts_and_ports_and_refuses_the_rest() {
        for (url, shown) in [
            ("http://127.0.0.1:7480", "http://127.0.0.1:7480"),
            ("http://[::1]:7480/", "http://[::1]:7480"),
            ("http://nas", "http://nas:80"),
        ] {
            let place = Place::from_url(url, Some("secret".to_owned())).unwrap();
            assert_eq!(place.to_string(), shown);
            assert!(!format!("{place:?}").contains("secret"));
        }
        for url in [
            "",
            "nas:7480",
            "http://",
            "http://a b:1",
            "http://nas:0",
            "http://nas:+1",
            "http://nas:99999",
            "http://nas/page",
            "http://me@nas",
            "http://[::1",
            "http://nas\r\nX: y",
        ] {
            assert!(Place::from_url(url, None).is_err(), "{url:?}");
        }
        assert_eq!(Place::from_url("https://nas", None), Err(PlaceError::Tls));
    }
}
