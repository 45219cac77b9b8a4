//! What the VMs are told about the host and the library when they are opened.

use std::fs::File;
use std::path::PathBuf;

use kinglet_host::firmware::Ovmf;
use kinglet_host::{KvmVerdict, Qemu};
use kinglet_model::{Image, Problem, Size};

/// Where VMs are kept, and what bounds them.
#[derive(Debug, Clone)]
pub struct MachinesConfig {
    /// The data folder. VMs lie in `vms/ID/` below it.
    pub data: PathBuf,
    /// The folder for sockets, gone after a reboot. They lie in `vms/ID/` below it.
    pub runtime: PathBuf,
    /// Bytes of console output that are kept of each VM.
    pub console_kept: u64,
    /// Whether QEMU is told to forbid itself system calls that it does not need. Off only for builds
    /// without seccomp.
    pub sandbox: bool,
}

impl MachinesConfig {
    /// VMs below these folders, with 1 MiB of console output kept.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>, runtime: impl Into<PathBuf>) -> Self {
        Self {
            data: data.into(),
            runtime: runtime.into(),
            console_kept: 1 << 20,
            sandbox: true,
        }
    }
}

/// What this host gives to VMs.
#[derive(Debug, Clone)]
pub struct HostFacts {
    /// Memory in all: no VM may have more.
    pub memory: Size,
    /// The running boot (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
    /// Whether KVM was proven to run Linux.
    pub kvm: KvmVerdict,
    /// The QEMU found, if any.
    pub qemu: Option<Qemu>,
    /// The UEFI firmware found, if any.
    pub ovmf: Option<Ovmf>,
}

impl HostFacts {
    /// Looks at this host; `kvm` is what the probe found. Blocks while QEMU is asked what it can do.
    ///
    /// # Errors
    /// Where `/proc` is not as it should be.
    pub fn find(kvm: KvmVerdict) -> Result<Self, kinglet_host::facts::FactsError> {
        let facts = kinglet_host::facts()?;
        Ok(Self {
            memory: facts.memory,
            boot_id: facts.boot_id.trim().to_owned(),
            kvm,
            qemu: kinglet_host::qemu::find(),
            ovmf: kinglet_host::firmware::ovmf(),
        })
    }
}

/// Access to the files of the library. Implemented by whoever knows both the library and the VMs.
pub trait ImageFiles: Send + Sync {
    /// The image's file opened for reading, and where it lies (absolute). May block.
    ///
    /// # Errors
    /// Where it cannot be opened, as it is to be told to a person.
    fn file(&self, image: &Image) -> Result<(File, PathBuf), Problem>;
}
