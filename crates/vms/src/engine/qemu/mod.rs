//! The engine QEMU: one process a VM, told what to do by its arguments ([`args`]) and by its control
//! protocol ([`qmp`]).

pub mod args;
pub mod qmp;

mod session;
mod socket;
mod spawn;

use futures::FutureExt;
use futures::future::BoxFuture;
use kinglet_host::KvmVerdict;
use kinglet_model::vm::{
    Accelerator, AcceleratorChoice, Boot, Engine as Chosen, Firmware, Isolation, VmSpec,
};
use kinglet_model::{Problem, Size};

use crate::config::HostFacts;
use crate::engine::{Engine, EngineError, Launch, Session};
use crate::folder::Folder;
use crate::problem::lacking;

/// Runs guests on QEMU.
pub struct QemuEngine {
    host: HostFacts,
    sandbox: bool,
}

impl QemuEngine {
    /// The QEMU of this host.
    #[must_use]
    pub const fn new(host: HostFacts, sandbox: bool) -> Self {
        Self { host, sandbox }
    }

    fn accelerator(&self, wanted: AcceleratorChoice) -> Result<(Accelerator, String), Problem> {
        let kvm = &self.host.kvm;
        match (wanted, kvm) {
            (AcceleratorChoice::Auto | AcceleratorChoice::Kvm, KvmVerdict::Usable) => Ok((
                Accelerator::Kvm,
                "KVM: a probe guest ran on it on this host".to_owned(),
            )),
            (AcceleratorChoice::Kvm, _) => Err(lacking(
                "kvm-unusable",
                format!(
                    "Cannot run the VM with KVM: {kvm}. Ask `kinglet doctor` what to do, or leave the \
                     accelerator to Kinglet."
                ),
            )),
            (AcceleratorChoice::Tcg, _) => Ok((
                Accelerator::Tcg,
                "TCG: QEMU's translator, as asked for".to_owned(),
            )),
            (AcceleratorChoice::Auto, _) => Ok((
                Accelerator::Tcg,
                format!("TCG: QEMU's translator, because KVM is not usable here ({kvm})"),
            )),
        }
    }

    fn fits(&self, memory: Size) -> Result<(), Problem> {
        if memory <= self.host.memory {
            return Ok(());
        }
        Err(lacking(
            "memory",
            format!(
                "Cannot give the VM {memory} of memory: this host has {}; give it less.",
                self.host.memory
            ),
        ))
    }
}

impl Engine for QemuEngine {
    fn choose(&self, spec: &VmSpec) -> Result<Chosen, Problem> {
        self.fits(spec.memory)?;
        let qemu = self.host.qemu.as_ref().ok_or_else(|| {
            lacking(
                "qemu-missing",
                "Cannot run a VM: QEMU is not installed; install it (Debian: apt install \
                 qemu-system-x86) and start Kinglet again.",
            )
        })?;
        let uefi = Boot::Firmware {
            firmware: Firmware::Uefi,
        };
        if spec.boot == uefi && self.host.ovmf.is_none() {
            return Err(lacking(
                "ovmf-missing",
                "Cannot boot the VM by UEFI: OVMF is not installed; install it (Debian: apt install \
                 ovmf) and start Kinglet again, or choose BIOS.",
            ));
        }
        let (accelerator, because) = self.accelerator(spec.accelerator)?;
        let isolation = match accelerator {
            Accelerator::Kvm => Isolation::Hardware,
            Accelerator::Tcg => Isolation::None,
        };
        let caution = match isolation {
            Isolation::Hardware => "The guest is kept in by hardware virtualisation",
            Isolation::None => "This is not a security boundary: run only guests that you trust",
        };
        Ok(Chosen {
            name: "qemu".to_owned(),
            version: qemu.version.clone(),
            accelerator,
            why: format!("QEMU runs every PC guest. With {because}. {caution}."),
            isolation,
        })
    }

    fn start(&self, launch: Launch<'_>) -> Result<u32, EngineError> {
        let qemu = self.host.qemu.as_ref().ok_or(EngineError::Missing)?;
        spawn::spawn(qemu, self.host.ovmf.as_ref(), self.sandbox, launch)
    }

    fn attach(&self, folder: Folder) -> BoxFuture<'static, Result<Box<dyn Session>, EngineError>> {
        async move {
            let session = session::QemuSession::open(&folder).await?;
            Ok(Box::new(session) as Box<dyn Session>)
        }
        .boxed()
    }
}
