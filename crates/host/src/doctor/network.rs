//! What VMs reach others with.

use kinglet_model::host::Check;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::{DoctorConfig, limited, remedy, yes};
use crate::passt;

/// User-mode networking close to the host's.
pub fn passt(_: &DoctorConfig) -> Check {
    const NAME: &str = "passt";
    const TITLE: &str = "User-mode network (passt)";
    match passt::find() {
        Some(program) => yes(NAME, TITLE, program.display().to_string()),
        None => limited(
            NAME,
            TITLE,
            "not found; QEMU's own user network serves instead, more slowly",
            remedy::install(&remedy::PASST),
        ),
    }
}

/// Tap devices, for VMs on a bridge.
pub fn tun(_: &DoctorConfig) -> Check {
    const NAME: &str = "tun";
    const TITLE: &str = "Bridged network (tap)";
    match opens("/dev/net/tun") {
        Ok(()) if is_network_admin() => yes(NAME, TITLE, "/dev/net/tun opens"),
        Ok(()) => limited(
            NAME,
            TITLE,
            "/dev/net/tun opens, but making a tap device needs CAP_NET_ADMIN; \
             the user network needs no privilege",
            "run the daemon as root or with AmbientCapabilities=CAP_NET_ADMIN in its unit",
        ),
        Err(error) => limited(
            NAME,
            TITLE,
            format!(
                "{}; the user network does not need it",
                refusal("/dev/net/tun", error)
            ),
            "modprobe tun",
        ),
    }
}

/// Sockets between host and guest.
pub fn vsock(_: &DoctorConfig) -> Check {
    const NAME: &str = "vsock";
    const TITLE: &str = "Sockets between host and guest (vsock)";
    match opens("/dev/vhost-vsock") {
        Ok(()) => yes(NAME, TITLE, "/dev/vhost-vsock opens"),
        Err(error) => limited(
            NAME,
            TITLE,
            format!(
                "{}; VMs have no vsock device",
                refusal("/dev/vhost-vsock", error)
            ),
            match error {
                Errno::ACCESS | Errno::PERM => "usermod -aG kvm USER, then sign in again",
                _ => "modprobe vhost_vsock",
            },
        ),
    }
}

fn opens(device: &str) -> Result<(), Errno> {
    rustix::fs::open(device, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).map(drop)
}

fn refusal(device: &str, error: Errno) -> String {
    match error {
        Errno::NOENT => format!("there is no {device}"),
        Errno::ACCESS | Errno::PERM => format!("this user may not open {device}"),
        other => format!("{device} does not open ({other})"),
    }
}

fn is_network_admin() -> bool {
    super::kernel::has_capability(super::kernel::NET_ADMIN)
}
