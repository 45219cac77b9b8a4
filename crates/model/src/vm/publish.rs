//! Published ports: a door on the host that leads to a port in the guest.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A transport protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// Its name in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A published port: `[[ADDRESS:]HOST:]GUEST[/tcp|/udp]`, as in `2222:22`, `80`,
/// `0.0.0.0:8080:80/tcp`, `[::1]:5353:53/udp`.
///
/// Without an address it listens on `127.0.0.1` only: what is reachable from elsewhere has to be
/// said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Publish {
    /// Where the host listens.
    pub address: IpAddr,
    /// The host's port.
    pub host: u16,
    /// The guest's port.
    pub guest: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
}

/// Why a text is not a [`Publish`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{text:?} is not a published port ({why}); write [[ADDRESS:]HOST:]GUEST[/tcp|/udp], for example 2222:22"
)]
pub struct PublishError {
    text: String,
    why: &'static str,
}

impl PartialSchema for Publish {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(
                "A published port: `[[ADDRESS:]HOST:]GUEST[/tcp|/udp]`.",
            ))
            .examples([serde_json::json!("127.0.0.1:2222:22/tcp")])
            .into()
    }
}

impl ToSchema for Publish {}

impl FromStr for Publish {
    type Err = PublishError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |why| PublishError {
            text: text.chars().take(80).collect(),
            why,
        };
        let (ports, protocol) = match text.split_once('/') {
            None => (text, Protocol::Tcp),
            Some((ports, "tcp")) => (ports, Protocol::Tcp),
            Some((ports, "udp")) => (ports, Protocol::Udp),
            Some(_) => return Err(fail("the protocol is neither tcp nor udp")),
        };
        let port = |text: &str| match text.parse::<u16>() {
            Ok(port) if port != 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
            _ => Err(fail("a port is a number from 1 to 65535")),
        };
        let mut parts = ports.rsplitn(3, ':');
        let guest = port(parts.next().unwrap_or_default())?;
        let host = parts.next().map_or(Ok(guest), port)?;
        let address = match parts.next() {
            None => IpAddr::V4(Ipv4Addr::LOCALHOST),
            Some(address) => {
                let bare = address
                    .strip_prefix('[')
                    .and_then(|inner| inner.strip_suffix(']'))
                    .unwrap_or(address);
                bare.parse()
                    .map_err(|_| fail("the address is not an IP address"))?
            }
        };
        Ok(Self {
            address,
            host,
            guest,
            protocol,
        })
    }
}

impl fmt::Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(address) => write!(f, "{address}")?,
            IpAddr::V6(address) => write!(f, "[{address}]")?,
        }
        write!(
            f,
            ":{}:{}/{}",
            self.host,
            self.guest,
            self.protocol.as_str()
        )
    }
}

impl TryFrom<String> for Publish {
    type Error = PublishError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Publish> for String {
    fn from(publish: Publish) -> Self {
        publish.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn publish_reads_every_form() {
        for (text, shown) in [
            ("22", "127.0.0.1:22:22/tcp"),
            ("2222:22", "127.0.0.1:2222:22/tcp"),
            ("0.0.0.0:80:8080/udp", "0.0.0.0:80:8080/udp"),
            ("[::1]:5353:53/udp", "[::1]:5353:53/udp"),
        ] {
            assert_eq!(text.parse::<Publish>().unwrap().to_string(), shown);
        }
        for text in [
            "", "0", "22:", ":22", "70000:1", "+1", "1/sctp", "host:1:2", "1:2:3:4x",
        ] {
            assert!(text.parse::<Publish>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn publish_never_panics_and_round_trips(text in "[0-9.:/a-z\\[\\]]{0,40}") {
            if let Ok(publish) = text.parse::<Publish>() {
                prop_assert_eq!(publish.to_string().parse::<Publish>(), Ok(publish));
            }
        }
    }
}
