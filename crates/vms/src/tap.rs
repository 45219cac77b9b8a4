//! A tap device on a bridge of the host. It belongs to the descriptor that QEMU inherits and is gone
//! with it, so that none is left behind by a crash.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, RawFd};

use kinglet_model::{Id, Problem};

use crate::problem::lacking;

/// `SIOCBRADDIF` of linux/sockios.h: makes an interface a port of a bridge.
const SIOCBRADDIF: libc::Ioctl = 0x89a2;

/// The interface's name: `kl` and the end of the VM's id.
pub(crate) fn name(id: Id) -> String {
    let hex = id.uuid().simple().to_string();
    format!("kl{}", &hex[20..])
}

/// Makes the tap device of the VM `id`, up and a port of `bridge`.
pub(crate) fn open(id: Id, bridge: &str) -> Result<File, Problem> {
    let name = name(id);
    create(&name)
        .and_then(|tap| {
            join(&name, bridge)?;
            Ok(tap)
        })
        .map_err(|error| explain(&error, bridge))
}

fn explain(error: &io::Error, bridge: &str) -> Problem {
    let why = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "this user may not make tap devices; run Kinglet with CAP_NET_ADMIN, or use mode `user`"
                .to_owned()
        }
        Some(libc::ENODEV) => {
            format!("there is no interface {bridge} on this host; make the bridge first")
        }
        Some(libc::EOPNOTSUPP | libc::EINVAL) => format!("{bridge} is not a bridge"),
        Some(libc::ENOENT) => "there is no /dev/net/tun; load the kernel module tun".to_owned(),
        _ => error.to_string(),
    };
    lacking(
        "tap",
        format!("Cannot connect the VM to the bridge {bridge}: {why}."),
    )
}

fn create(name: &str) -> io::Result<File> {
    let tun = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")?;
    let mut request = request(name)?;
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = i16::try_from(flags).map_err(io::Error::other)?;
    control(tun.as_raw_fd(), libc::TUNSETIFF, &mut request)?;
    Ok(tun)
}

fn join(name: &str, bridge: &str) -> io::Result<()> {
    // Any socket is a door to the kernel's interface calls.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let socket = socket.as_raw_fd();
    let mut tap = request(name)?;
    control(socket, libc::SIOCGIFINDEX, &mut tap)?;
    // SAFETY: SIOCGIFINDEX has filled in this member of the union.
    let index = unsafe { tap.ifr_ifru.ifru_ifindex };
    let mut port = request(bridge)?;
    port.ifr_ifru.ifru_ifindex = index;
    control(socket, SIOCBRADDIF, &mut port)?;
    let mut up = request(name)?;
    up.ifr_ifru.ifru_flags =
        i16::try_from(libc::IFF_UP | libc::IFF_RUNNING).map_err(io::Error::other)?;
    control(socket, libc::SIOCSIFFLAGS, &mut up)
}

fn request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: ifreq is plain data, for which all bits zero is a value.
    let mut request: libc::ifreq = unsafe { zeroed() };
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    Ok(request)
}

fn control(fd: RawFd, call: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
    // SAFETY: the descriptor is open for the call's duration, and each of the calls used here reads
    // and writes one ifreq.
    let answer = unsafe { libc::ioctl(fd, call, std::ptr::from_mut(request)) };
    if answer < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_that_is_not_there_is_named() {
        let problem = open(Id::generate(), "kl-no-bridge").unwrap_err();
        assert!(problem.detail.contains("kl-no-bridge"), "{problem}");
        assert_eq!(problem.code, "tap");
    }

    #[test]
    fn interface_names_fit() {
        assert_eq!(name(Id::generate()).len(), 14);
    }
}
