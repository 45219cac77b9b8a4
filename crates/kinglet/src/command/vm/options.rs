//! What can be said of a VM that is to be made, and the spec that it comes to.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use kinglet_model::api::NewVm;
use kinglet_model::vm::spec::MAX_USER_DATA;
use kinglet_model::vm::{
    AcceleratorChoice, Boot, Firmware, Network, NetworkMode, Power, Publish, Seed, VmSpec,
};
use kinglet_model::{Name, Size};

use crate::failure::{Failure, Outcome};

/// Bytes of a file with public keys that are read at most.
const MAX_KEYS: usize = 256 << 10;

/// A VM that is to be made.
#[derive(Debug, Args)]
pub struct Options {
    /// Name of the VM; made from the image's where it is absent
    #[arg(long)]
    name: Option<Name>,
    /// Mark it for yourself or for tools; can be given several times
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Memory, such as 512M or 2G
    #[arg(long, short, value_name = "SIZE", default_value = "512M")]
    memory: Size,
    /// Virtual CPUs
    #[arg(long, short, value_name = "N", default_value_t = 1)]
    cpus: u32,
    /// Size of its first disk, where it should be larger than the image
    #[arg(long, value_name = "SIZE")]
    disk_size: Option<Size>,
    /// ISO image in its CD-ROM drive
    #[arg(long, value_name = "IMAGE")]
    cdrom: Option<String>,
    /// Reach a port of the guest at one of this machine; can be given several times
    #[arg(long, short, value_name = "[[ADDRESS:]HOST:]GUEST[/udp]")]
    publish: Vec<Publish>,
    /// Network: behind this machine's, on one of its bridges (bridge=NAME), or none
    #[arg(long, value_name = "user|bridge=NAME|none", default_value = "user", value_parser = network)]
    network: (NetworkMode, Option<String>),
    /// File with public SSH keys that may sign in; can be given several times
    #[arg(long, value_name = "FILE", help_heading = "First boot (cloud-init)")]
    ssh_key: Vec<PathBuf>,
    /// User with sudo for whom the keys are
    #[arg(long, value_name = "NAME", help_heading = "First boot (cloud-init)")]
    user: Option<String>,
    /// File with user data of your own, instead of user and keys
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["ssh_key", "user"],
        help_heading = "First boot (cloud-init)"
    )]
    user_data: Option<PathBuf>,
    /// Firmware that boots it
    #[arg(
        long,
        value_name = "KIND",
        default_value = "auto",
        conflicts_with = "kernel",
        help_heading = "Boot"
    )]
    firmware: FirmwareKind,
    /// Boot this kernel image instead of by firmware
    #[arg(long, value_name = "IMAGE", help_heading = "Boot")]
    kernel: Option<String>,
    /// Initial RAM file system for the kernel
    #[arg(long, value_name = "IMAGE", requires = "kernel", help_heading = "Boot")]
    initrd: Option<String>,
    /// Command line of the kernel
    #[arg(
        long,
        value_name = "TEXT",
        requires = "kernel",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true,
        help_heading = "Boot"
    )]
    cmdline: String,
    /// What executes the guest's instructions
    #[arg(
        long,
        value_name = "KIND",
        default_value = "auto",
        help_heading = "Boot"
    )]
    accelerator: AcceleratorKind,
    /// Seconds that the guest has to shut down before it is killed
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 60,
        help_heading = "Boot"
    )]
    stop_deadline: u32,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum FirmwareKind {
    /// UEFI where the disk can only boot so, else BIOS
    Auto,
    /// SeaBIOS
    Bios,
    /// OVMF
    Uefi,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum AcceleratorKind {
    /// KVM where it was proven, else emulation
    Auto,
    /// KVM or nothing
    Kvm,
    /// Emulation
    Tcg,
}

impl Options {
    /// The request, checked as far as it can be without the daemon.
    pub fn new_vm(self, image: Option<String>, power: Power) -> Outcome<NewVm> {
        let seed = self.seed()?;
        let boot = match self.kernel {
            Some(kernel) => Boot::Kernel {
                kernel,
                initrd: self.initrd,
                cmdline: self.cmdline,
            },
            None => Boot::Firmware {
                firmware: match self.firmware {
                    FirmwareKind::Auto => Firmware::Auto,
                    FirmwareKind::Bios => Firmware::Bios,
                    FirmwareKind::Uefi => Firmware::Uefi,
                },
            },
        };
        let (mode, bridge) = self.network;
        let spec = VmSpec {
            image,
            vcpus: self.cpus,
            memory: self.memory,
            disk_size: self.disk_size,
            media: self.cdrom,
            boot,
            network: Network {
                mode,
                bridge,
                publish: self.publish,
            },
            seed,
            accelerator: match self.accelerator {
                AcceleratorKind::Auto => AcceleratorChoice::Auto,
                AcceleratorKind::Kvm => AcceleratorChoice::Kvm,
                AcceleratorKind::Tcg => AcceleratorChoice::Tcg,
            },
            stop_deadline: self.stop_deadline,
            power,
            ..VmSpec::default()
        };
        spec.validate()
            .map_err(|error| Failure::usage(error.to_string()))?;
        Ok(NewVm {
            name: self.name,
            labels: self.labels.into_iter().collect::<BTreeMap<_, _>>(),
            spec,
        })
    }

    fn seed(&self) -> Outcome<Option<Seed>> {
        let ssh_keys = self
            .ssh_key
            .iter()
            .map(|file| public_keys(file))
            .collect::<Outcome<Vec<_>>>()?
            .concat();
        let user_data = self
            .user_data
            .as_ref()
            .map(|file| text(file, MAX_USER_DATA))
            .transpose()?;
        if ssh_keys.is_empty() && user_data.is_none() && self.user.is_none() {
            return Ok(None);
        }
        Ok(Some(Seed {
            hostname: None,
            user: self.user.clone(),
            ssh_keys,
            user_data,
        }))
    }
}

/// The keys of a file such as `~/.ssh/id_ed25519.pub` or `authorized_keys`.
fn public_keys(file: &Path) -> Outcome<Vec<String>> {
    let text = text(file, MAX_KEYS)?;
    if text.contains("PRIVATE KEY") {
        return Err(Failure::usage(format!(
            "{} is a private key, which never leaves its place; give the public one (.pub)",
            file.display()
        )));
    }
    let keys: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    if keys.is_empty() {
        return Err(Failure::usage(format!(
            "{} has no key in it",
            file.display()
        )));
    }
    Ok(keys)
}

fn text(file: &Path, most: usize) -> Outcome<String> {
    let wrong = |why: String| Failure::usage(format!("{} cannot be used: {why}", file.display()));
    let bytes = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    if bytes.len() > most {
        return Err(wrong(format!("it has more than {most} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| wrong("it is not text in UTF-8".to_owned()))
}

fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE".to_owned()),
    }
}

fn network(text: &str) -> Result<(NetworkMode, Option<String>), String> {
    match text {
        "user" => Ok((NetworkMode::User, None)),
        "none" => Ok((NetworkMode::None, None)),
        _ => text
            .strip_prefix("bridge=")
            .filter(|bridge| !bridge.is_empty())
            .map(|bridge| (NetworkMode::Tap, Some(bridge.to_owned())))
            .ok_or_else(|| "write user, bridge=NAME or none".to_owned()),
    }
}

#[cfg(test)]
mod tests;
