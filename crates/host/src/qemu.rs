//! QEMU: where it is, which version, and what its build can do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::program;

/// How long QEMU may take to say something about itself.
const BOUND: Duration = Duration::from_secs(20);

/// Names of the program, in the order of preference. RHEL has it as `/usr/libexec/qemu-kvm`.
const NAMES: [&str; 3] = ["qemu-system-x86_64", "qemu-kvm", "kvm"];

/// A QEMU that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qemu {
    /// The program.
    pub path: PathBuf,
    /// Its version: `7.2.22`.
    pub version: String,
    /// What can execute guests: `tcg`, `kvm` …
    pub accelerators: Vec<String>,
    /// The device models that this build has: `virtio-blk-pci` …
    pub devices: BTreeSet<String>,
}

/// Why a QEMU is not usable.
#[derive(Debug, Error)]
pub enum QemuError {
    /// It could not be run.
    #[error(transparent)]
    Run(#[from] program::RunError),
    /// It did not answer in time or failed.
    #[error("{program} {argument} did not end as it should")]
    Failed {
        /// The program.
        program: PathBuf,
        /// What it was asked.
        argument: &'static str,
    },
    /// It answered something else.
    #[error("{program} {argument} answered what is not understood")]
    Answer {
        /// The program.
        program: PathBuf,
        /// What it was asked.
        argument: &'static str,
    },
}

/// The first QEMU for x86-64 guests on this machine that tells its version.
#[must_use]
pub fn find() -> Option<Qemu> {
    NAMES
        .iter()
        .filter_map(|name| program::find(name))
        .find_map(|path| Qemu::ask(&path).ok())
}

impl Qemu {
    /// Asks the QEMU at `path` what it is.
    ///
    /// # Errors
    /// Where it cannot be run, takes too long, or is not QEMU.
    pub fn ask(path: &Path) -> Result<Self, QemuError> {
        let version = ask(path, &["-version"], "-version")?;
        let accelerators = ask(path, &["-accel", "help"], "-accel help")?;
        let devices = ask(
            path,
            &["-nodefaults", "-machine", "none", "-device", "help"],
            "-device help",
        )?;
        Ok(Self {
            path: path.to_owned(),
            version: parse_version(&version).ok_or_else(|| QemuError::Answer {
                program: path.to_owned(),
                argument: "-version",
            })?,
            accelerators: parse_accelerators(&accelerators),
            devices: parse_devices(&devices),
        })
    }

    /// Whether this build has the device model `name`.
    #[must_use]
    pub fn has_device(&self, name: &str) -> bool {
        self.devices.contains(name)
    }

    /// Whether this build can execute guests by `name` (`kvm`, `tcg`).
    #[must_use]
    pub fn has_accelerator(&self, name: &str) -> bool {
        self.accelerators.iter().any(|other| other == name)
    }
}

fn ask(path: &Path, arguments: &[&'static str], asked: &'static str) -> Result<String, QemuError> {
    let outcome = program::run(path, arguments, BOUND)?;
    match outcome.status {
        Some(status) if status.success() => {
            Ok(String::from_utf8_lossy(&outcome.stdout).into_owned())
        }
        _ => Err(QemuError::Failed {
            program: path.to_owned(),
            argument: asked,
        }),
    }
}

fn parse_version(text: &str) -> Option<String> {
    let rest = text
        .lines()
        .next()?
        .strip_prefix("QEMU emulator version ")?;
    let version = rest.split_ascii_whitespace().next()?;
    let plausible = version.len() <= 32
        && version.starts_with(|c: char| c.is_ascii_digit())
        && version
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'));
    plausible.then(|| version.to_owned())
}

fn parse_accelerators(text: &str) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && line.chars().all(|c| c.is_ascii_lowercase()))
        .map(str::to_owned)
        .collect()
}

fn parse_devices(text: &str) -> BTreeSet<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("name \"")?.split_once('"'))
        .map(|(name, _)| name.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_the_number_alone() {
        let debian = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\nCopyright\n";
        assert_eq!(parse_version(debian).as_deref(), Some("7.2.22"));
        for text in [
            "",
            "BusyBox",
            "QEMU emulator version",
            "QEMU emulator version x;y",
        ] {
            assert_eq!(parse_version(text), None, "{text:?}");
        }
    }

    #[test]
    fn accelerators_and_devices_are_read_from_help() {
        let text = "Accelerators supported in QEMU binary:\ntcg\nkvm\n";
        assert_eq!(parse_accelerators(text), ["tcg", "kvm"]);
        let text =
            "Storage devices:\nname \"virtio-blk-pci\", bus PCI, alias \"virtio-blk\"\nname \"x\n";
        let devices = parse_devices(text);
        assert_eq!(devices.into_iter().collect::<Vec<_>>(), ["virtio-blk-pci"]);
    }

    #[test]
    fn another_program_is_not_qemu() {
        let echo = program::find("echo").unwrap();
        assert!(matches!(Qemu::ask(&echo), Err(QemuError::Answer { .. })));
    }

    #[test]
    fn this_machines_qemu_has_virtio() {
        let qemu = find().expect("this test needs qemu-system-x86");
        assert!(qemu.has_accelerator("tcg"));
        assert!(qemu.has_device("virtio-blk-pci"));
    }
}
