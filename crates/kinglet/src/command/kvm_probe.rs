//! `kinglet kvm-probe`, hidden: the child in which the doctor runs its probe guest.

use std::process::ExitCode;

use clap::Args;

/// Run the KVM probe guest and report on standard output
#[derive(Debug, Args)]
pub struct KvmProbe {}

impl KvmProbe {
    /// Runs the probe.
    pub fn run(self) -> ExitCode {
        ExitCode::from(kinglet_host::kvm::child_main())
    }
}
