//! The doctor: what this machine can do for VMs, each "no" with its remedy.
//!
//! Every check tries the thing itself where it can: it runs a guest, asks QEMU, takes a lease, clones
//! a file. A new check is one function of the form `fn(&DoctorConfig) -> Check` and one row in
//! [`CHECKS`].

mod cpu;
mod folders;
mod kernel;
mod network;
mod qemu;
mod remedy;
mod trial;

use std::path::PathBuf;
use std::time::Duration;

use kinglet_model::host::{Check, Verdict};

/// What the doctor looks at beside the machine.
#[derive(Debug, Clone)]
pub struct DoctorConfig {
    /// The data folder. Need not exist yet.
    pub data: PathBuf,
    /// The watched image folders. Need not exist yet.
    pub image_folders: Vec<PathBuf>,
    /// How often folders are scanned in which inotify does not see everything.
    pub scan_interval: Duration,
    /// The program that has the verb `kvm-probe`: Kinglet itself.
    pub exe: PathBuf,
}

type Examine = fn(&DoctorConfig) -> Check;

const CHECKS: [Examine; 16] = [
    cpu::kvm,
    qemu::qemu,
    qemu::seabios,
    qemu::ovmf,
    network::passt,
    network::tun,
    network::vsock,
    folders::data,
    folders::space,
    folders::reflink,
    folders::leases,
    folders::inotify,
    kernel::memory,
    kernel::pressure,
    kernel::cgroup,
    kernel::privileges,
];

/// Examines the machine, in the order in which a person would want to read it. Takes a second or two;
/// blocks; runs a child process and QEMU.
#[must_use]
pub fn examine(config: &DoctorConfig) -> Vec<Check> {
    CHECKS.iter().map(|check| check(config)).collect()
}

fn check(name: &str, title: &str, verdict: Verdict, detail: impl Into<String>) -> Check {
    Check {
        name: name.to_owned(),
        title: title.to_owned(),
        verdict,
        detail: detail.into(),
        remedy: None,
    }
}

fn yes(name: &str, title: &str, detail: impl Into<String>) -> Check {
    check(name, title, Verdict::Yes, detail)
}

fn limited(name: &str, title: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Check {
    Check {
        remedy: Some(remedy.into()),
        ..check(name, title, Verdict::Limited, detail)
    }
}

fn no(name: &str, title: &str, detail: impl Into<String>, remedy: impl Into<String>) -> Check {
    Check {
        remedy: Some(remedy.into()),
        ..check(name, title, Verdict::No, detail)
    }
}

#[cfg(test)]
mod tests;
