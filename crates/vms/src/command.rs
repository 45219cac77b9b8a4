//! What people do with a VM: each command changes what is wanted, in one update, and wakes the keeper.

use kinglet_model::vm::{Power, VmAction, VmEvent, VmPhase};
use kinglet_model::{Id, Problem, Revision, Vm};
use kinglet_registry::typed::TypedError;

use crate::keeper::perform::mark;
use crate::keeper::step::KILL_ASKED;
use crate::machines::Machines;
use crate::media::busy;
use crate::ports;
use crate::problem::{invalid, registry as registry_problem};

const TRIES: usize = 8;

impl Machines {
    /// Starts, stops, restarts, pauses, resumes or kills. Returns when it is recorded; the doing follows.
    ///
    /// # Errors
    /// Where the VM's state does not allow it, it changed since `if_match`, or there is none.
    pub async fn act(
        &self,
        id: Id,
        action: VmAction,
        if_match: Option<Revision>,
    ) -> Result<Vm, Problem> {
        for _ in 0..TRIES {
            let mut vm = self.expect(id, if_match).await?;
            vm.permit(action)?;
            if action == VmAction::Start {
                self.engine().choose(&vm.spec)?;
                ports::free(&vm.spec.network)?;
            }
            want(&mut vm, action)?;
            let mut stored = vm.stored();
            match self.registry().update(&mut stored).await {
                Ok(_) => {
                    if action == VmAction::Kill {
                        self.interrupt(id);
                    }
                    self.wake(id);
                    return Ok(stored);
                }
                Err(TypedError::Stale { .. }) => {}
                Err(error) => return Err(registry_problem(&error)),
            }
        }
        Err(busy())
    }

    /// Removes a VM that is off, with its disks.
    ///
    /// # Errors
    /// As [`Machines::act`].
    pub async fn delete(&self, id: Id, if_match: Option<Revision>) -> Result<Vm, Problem> {
        self.act(id, VmAction::Delete, if_match).await
    }
}

/// Enters in the VM what `action` wants.
fn want(vm: &mut Vm, action: VmAction) -> Result<(), Problem> {
    match action {
        VmAction::Start => {
            vm.spec.power = Power::On;
            // A failed VM stays so until somebody starts it; from there the keeper goes on.
            if vm.status.phase == VmPhase::Failed && vm.apply(VmEvent::Start) {
                vm.status.exit = None;
                vm.status.reason = None;
            }
        }
        VmAction::Stop => vm.spec.power = Power::Off,
        VmAction::Restart => {
            vm.spec.power = Power::On;
            vm.spec.restarts = vm.spec.restarts.wrapping_add(1);
        }
        VmAction::Pause => vm.spec.power = Power::Paused,
        VmAction::Resume => {
            vm.spec.power = Power::On;
            vm.status.reason = None;
        }
        VmAction::Kill => {
            vm.spec.power = Power::Off;
            mark(vm, KILL_ASKED);
        }
        VmAction::Delete => {
            vm.spec.power = Power::Off;
            // Allowed by the same table that has this row.
            let _ = vm.apply(VmEvent::Delete);
        }
        VmAction::Console | VmAction::InsertMedia | VmAction::EjectMedia => {
            return Err(invalid(
                "not-a-command",
                format!("`{}` is not done by a bare command.", action.as_str()),
            ));
        }
    }
    Ok(())
}
