//! Published ports: whether they are free, asked before a VM is started with them.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use kinglet_model::Problem;
use kinglet_model::vm::publish::Protocol;
use kinglet_model::vm::{Network, Publish};

use crate::problem::{invalid, lacking, refused};

/// Whether the ports can be had at all in this mode of networking.
pub(crate) fn possible(network: &Network) -> Result<(), Problem> {
    match network
        .publish
        .iter()
        .find(|publish| publish.address.is_ipv6())
    {
        None => Ok(()),
        Some(publish) => Err(invalid(
            "publish-ipv6",
            format!(
                "Cannot publish {publish}: QEMU's user network listens on IPv4 addresses only."
            ),
        )),
    }
}

/// Whether each port is free now. Another program may still take one before QEMU does; then the start
/// fails with QEMU's words.
pub(crate) fn free(network: &Network) -> Result<(), Problem> {
    network
        .publish
        .iter()
        .try_for_each(|publish| bind(publish).map_err(|e| explain(publish, &e)))
}

fn bind(publish: &Publish) -> io::Result<()> {
    let address = SocketAddr::new(publish.address, publish.host);
    match publish.protocol {
        Protocol::Tcp => TcpListener::bind(address).map(drop),
        Protocol::Udp => UdpSocket::bind(address).map(drop),
    }
}

fn explain(publish: &Publish, error: &io::Error) -> Problem {
    let port = publish.host;
    match error.kind() {
        io::ErrorKind::AddrInUse => refused(
            "port-in-use",
            format!(
                "Cannot publish {publish}: port {port} on this host is in use; choose another, or stop \
                 what uses it."
            ),
        ),
        io::ErrorKind::PermissionDenied => lacking(
            "port-not-permitted",
            format!(
                "Cannot publish {publish}: this user may not use port {port}; choose one above 1023."
            ),
        ),
        io::ErrorKind::AddrNotAvailable => invalid(
            "address-not-here",
            format!(
                "Cannot publish {publish}: {} is no address of this host.",
                publish.address
            ),
        ),
        _ => lacking("port", format!("Cannot publish {publish}: {error}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_refused_by_its_number() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let network = Network {
            publish: vec![format!("{port}:22").parse().unwrap()],
            ..Network::default()
        };
        let problem = free(&network).unwrap_err();
        assert_eq!(problem.code, "port-in-use");
        assert!(problem.detail.contains(&port.to_string()));
        drop(taken);
        free(&network).unwrap();
    }

    #[test]
    fn an_ipv6_address_is_refused() {
        let network = Network {
            publish: vec!["[::1]:8080:80".parse().unwrap()],
            ..Network::default()
        };
        assert_eq!(possible(&network).unwrap_err().code, "publish-ipv6");
    }
}
