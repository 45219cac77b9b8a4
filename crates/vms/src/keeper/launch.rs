//! Starting a process.

use kinglet_model::Vm;
use kinglet_model::vm::{ExitCause, NetworkMode, Power, VmEvent};
use kinglet_registry::typed::TypedError;

use super::Keeper;
use crate::engine::Launch;
use crate::process::Process;
use crate::{ports, tap};

impl Keeper {
    /// Starts the VM's process and records it. The lock is taken first and goes to the process, so
    /// that there is no moment at which a second one could be started.
    pub(super) async fn launch(&mut self, mut vm: Vm) -> Result<(), TypedError> {
        match self.try_launch(&mut vm) {
            Ok(Some(process)) => {
                self.process = Some(process);
                self.record(vm).await
            }
            // Somebody holds the lock after all: look again.
            Ok(None) => Ok(()),
            Err(why) => {
                self.end(vm, VmEvent::StartFailed, ExitCause::StartFailed, Some(why))
                    .await
            }
        }
    }

    fn try_launch(&self, vm: &mut Vm) -> Result<Option<Process>, String> {
        let chosen = self
            .shop
            .engine
            .choose(&vm.spec)
            .map_err(|problem| problem.detail)?;
        ports::free(&vm.spec.network).map_err(|problem| problem.detail)?;
        let locked = self.folder.lock().map_err(|error| {
            crate::problem::io("lock the VM's folder", self.folder.path(), &error).detail
        })?;
        let Some(lock) = locked else { return Ok(None) };
        if let Err(error) = self.shop.watcher.begin_run(&self.folder.console_log()) {
            tracing::warn!(vm = %self.id, %error, "the console's log cannot be bounded");
        }
        let disc = vm.spec.media.as_ref().and_then(|media| media.parse().ok());
        self.drop_other_discs(disc);
        let tap = self.tap(vm)?;
        vm.status.engine = Some(chosen.clone());
        let launch = Launch {
            vm,
            chosen: &chosen,
            folder: &self.folder,
            lock,
            tap,
            halted: vm.spec.power == Power::Paused,
        };
        let started = self.shop.engine.start(launch);
        let pid = started.map_err(|error| format!("Cannot start the VM: {error}."))?;
        // A child that ended at once is still there to be asked how, until it is reaped.
        Process::open(pid, &self.shop.host.boot_id)
            .map(Some)
            .map_err(|error| format!("Cannot take hold of the VM's process: {error}."))
    }

    fn tap(&self, vm: &Vm) -> Result<Option<std::fs::File>, String> {
        match (&vm.spec.network.mode, &vm.spec.network.bridge) {
            (NetworkMode::Tap, Some(bridge)) => {
                let tap = tap::open(self.id, bridge).map_err(|problem| problem.detail)?;
                Ok(Some(tap))
            }
            _ => Ok(None),
        }
    }

    /// Records which process runs the VM.
    pub(super) async fn record(&self, mut vm: Vm) -> Result<(), TypedError> {
        let Some(process) = &self.process else {
            return Ok(());
        };
        vm.status.process = Some(process.identity().clone());
        vm.status.restarts_done = vm.spec.restarts;
        vm.status.reason = None;
        self.shop.registry.update(&mut vm.stored()).await.map(drop)
    }
}
