//! `kinglet vm start`, `stop`, `restart`, `pause`, `resume`, `kill`: asked for, then waited for.

use clap::Args;
use kinglet_model::Vm;
use kinglet_model::vm::{VmAction, VmPhase};

use super::{Named, Session};
use crate::failure::{Failure, Outcome};
use crate::output::progress::Waiting;
use crate::watch;

#[derive(Debug, Args)]
pub struct Power {
    #[command(flatten)]
    named: Named,
    /// Return once it is accepted instead of once it is done
    #[arg(long)]
    no_wait: bool,
}

impl Power {
    /// Asks for `action` and waits until it came to something.
    pub async fn run(self, session: &Session, action: VmAction) -> Outcome {
        let client = session.client()?;
        let mut vm = client.act_vm(&self.named.vm, action, None).await?;
        if !self.no_wait && !reached(&vm, action) {
            let waiting = Waiting::new(&session.out, &format!("VM {}", vm.metadata.name));
            vm = watch::vm(&client, vm, &waiting, |vm| {
                reached(vm, action) || vm.status.phase == VmPhase::Failed
            })
            .await?;
        }
        if session.out.is_json() {
            session.out.json(&vm)?;
        } else {
            session
                .out
                .note(&format!("VM {} is {}.", vm.metadata.name, vm.status.phase));
        }
        if !self.no_wait && !reached(&vm, action) {
            return Err(failed(&vm));
        }
        Ok(())
    }
}

/// Whether `action` came to what it should. A VM that was killed may count as failed or stopped.
fn reached(vm: &Vm, action: VmAction) -> bool {
    match action {
        VmAction::Start | VmAction::Resume => vm.status.phase == VmPhase::Running,
        VmAction::Restart => {
            vm.status.phase == VmPhase::Running && vm.status.restarts_done >= vm.spec.restarts
        }
        VmAction::Pause => vm.status.phase == VmPhase::Paused,
        VmAction::Stop | VmAction::Kill => {
            matches!(vm.status.phase, VmPhase::Stopped | VmPhase::Failed)
        }
        VmAction::Console | VmAction::InsertMedia | VmAction::EjectMedia | VmAction::Delete => true,
    }
}

/// Why a VM is not what it should be.
pub fn failed(vm: &Vm) -> Failure {
    let why = vm
        .status
        .reason
        .as_deref()
        .or_else(|| Some(vm.status.exit.as_ref()?.message.as_str()))
        .unwrap_or("no reason given");
    Failure::failed(format!(
        "VM {} is {}: {why}",
        vm.metadata.name, vm.status.phase
    ))
}
