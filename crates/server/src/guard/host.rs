//! `Host`: the names by which we are called. A page of another site whose name was made to point at
//! this machine (DNS rebinding) still calls us by its own name.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};
use kinglet_model::problem::ProblemKind;

use crate::problem::Refused;

/// The names that are ours.
#[derive(Debug, Clone)]
pub struct Hosts {
    address: Option<SocketAddr>,
    names: Vec<String>,
}

impl Hosts {
    /// Loopback names and addresses with the port of `address`, that address itself, and `names`
    /// with any port (in front of a proxy nobody knows which).
    pub fn new(address: Option<SocketAddr>, names: &[String]) -> Self {
        Self {
            address,
            names: names.iter().map(|name| name.to_ascii_lowercase()).collect(),
        }
    }

    /// Whether a request's one `Host` is ours.
    pub fn admit(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(header::HOST).iter();
        match (values.next().map(|value| value.to_str()), values.next()) {
            (Some(Ok(host)), None) => self.is_ours(host),
            _ => false,
        }
    }

    fn is_ours(&self, host: &str) -> bool {
        let Some((name, port)) = split(host) else {
            return false;
        };
        let name = name.to_ascii_lowercase();
        if self.names.contains(&name) {
            return true;
        }
        let Some(address) = self.address else {
            return false;
        };
        if port.unwrap_or(80) != address.port() {
            return false;
        }
        name == "localhost" || is_ours(&name, address.ip())
    }
}

fn is_ours(name: &str, bound: IpAddr) -> bool {
    name.parse::<IpAddr>().is_ok_and(|ip| {
        // Behind 0.0.0.0 any address of this machine may be the one; no name can be rebound to one.
        ip.is_loopback() || ip == bound || bound.is_unspecified()
    })
}

/// Name (without the brackets of IPv6) and port.
fn split(host: &str) -> Option<(&str, Option<u16>)> {
    let (name, rest) = match host.strip_prefix('[') {
        Some(inner) => {
            let (name, rest) = inner.split_once(']')?;
            (
                name,
                rest.strip_prefix(':').or(rest.is_empty().then_some(""))?,
            )
        }
        None => host.split_once(':').unwrap_or((host, "")),
    };
    if rest.is_empty() {
        return (!host.ends_with(':')).then_some((name, None));
    }
    let port = rest
        .bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| rest.parse().ok())??;
    Some((name, Some(port)))
}

pub fn foreign() -> Refused {
    let detail = "This daemon is not called so. Use the address it prints, or add the name to \
                  `hostnames` in the configuration.";
    Refused::new(ProblemKind::Forbidden, "host-unknown", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_names_with_our_port_are_ours() {
        let hosts = Hosts::new(Some(([127, 0, 0, 1], 7070).into()), &["NAS.lan".to_owned()]);
        for host in [
            "127.0.0.1:7070",
            "localhost:7070",
            "LOCALHOST:7070",
            "[::1]:7070",
            "127.1.2.3:7070",
        ] {
            assert!(hosts.is_ours(host), "{host}");
        }
        for host in ["nas.lan", "nas.lan:443"] {
            assert!(hosts.is_ours(host), "{host}");
        }
        for host in [
            "",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:80",
            "localhost:7071",
            "evil.example:7070",
            "localhost.evil.example:7070",
            "127.0.0.1.nip.io:7070",
            "[::1]x:7070",
            "[::1:7070",
            "localhost:+7070",
            "192.168.0.1:7070",
            "127.0.0.1:7070:7070",
        ] {
            assert!(!hosts.is_ours(host), "{host}");
        }
        assert!(!Hosts::new(None, &[]).is_ours("localhost"));
        assert!(Hosts::new(Some(([127, 0, 0, 1], 80).into()), &[]).is_ours("localhost"));
    }
}
