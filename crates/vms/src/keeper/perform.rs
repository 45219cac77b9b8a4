//! Doing a step. Each changes the world or the record, not both in an order that a crash could
//! confuse: what is about to happen to a process is recorded first.

use std::time::Duration;

use jiff::Timestamp;
use kinglet_model::vm::{Exit, ExitCause, Power, VmEvent};
use kinglet_model::{Condition, Id, Image, Vm};
use kinglet_registry::typed::TypedError;
use kinglet_registry::{Txn, TxnError};
use tokio::time::Instant;

use super::Keeper;
use super::step::{GUEST_SHUTDOWN, MARKS, Step};
use crate::engine::EngineError;
use crate::images;

/// How long a process may take to end in good order once its guest is down, and after a kill.
const ENDING: Duration = Duration::from_secs(10);

impl Keeper {
    pub(super) async fn perform(&mut self, mut vm: Vm, step: Step) -> Result<(), TypedError> {
        match step {
            Step::Rest | Step::LookAgain | Step::Remove => Ok(()),
            Step::Move(event, reason) => self.change(vm, event, reason).await,
            Step::Launch => self.launch(vm).await,
            Step::Record => self.record(vm).await,
            Step::Pause => self.told(|session| session.pause()).await,
            Step::Resume => self.told(|session| session.resume()).await,
            Step::Media => self.media(&vm).await,
            Step::AskShutdown => {
                self.asked = Some(Instant::now());
                self.told(|session| session.power_down()).await
            }
            Step::NoteShutdown => {
                vm.spec.power = Power::Off;
                mark(&mut vm, GUEST_SHUTDOWN);
                self.change(vm, VmEvent::Stop, None).await
            }
            Step::Mark(name) => {
                mark(&mut vm, name);
                self.shop.registry.update(&mut vm.stored()).await.map(drop)
            }
            Step::Quit => self.quit().await,
            Step::Kill => self.kill().await,
            Step::Ended(event, cause) => self.end(vm, event, cause, None).await,
        }
    }

    async fn change(
        &self,
        mut vm: Vm,
        event: VmEvent,
        reason: Option<String>,
    ) -> Result<(), TypedError> {
        if !vm.apply(event) {
            tracing::error!(vm = %self.id, phase = %vm.status.phase, ?event, "impossible change");
            tokio::time::sleep(super::AFTER_FAILURE).await;
            return Ok(());
        }
        if event == VmEvent::Start {
            vm.status.exit = None;
        }
        vm.status.reason = reason;
        self.shop.registry.update(&mut vm.stored()).await.map(drop)
    }

    /// Tells the engine something. A failure shows itself at the next look; the pause keeps a broken
    /// engine from being asked in a circle.
    async fn told<'a, F>(&'a self, tell: F) -> Result<(), TypedError>
    where
        F: FnOnce(
            &'a dyn crate::engine::Session,
        ) -> futures::future::BoxFuture<'a, Result<(), EngineError>>,
    {
        let Some(session) = self.session.as_deref() else {
            return Ok(());
        };
        if let Err(error) = tell(session).await {
            tracing::warn!(vm = %self.id, %error, "the engine did not do what it was told");
            tokio::time::sleep(super::AGAIN).await;
        }
        Ok(())
    }

    async fn media(&self, vm: &Vm) -> Result<(), TypedError> {
        let wanted = vm
            .spec
            .media
            .as_ref()
            .and_then(|media| media.parse::<Id>().ok());
        let disc = wanted.map(|id| (id, self.folder.media(id)));
        self.told(|session| session.set_media(disc)).await?;
        self.drop_other_discs(wanted);
        Ok(())
    }

    /// Gives up the hold on discs that are in the drive no more.
    pub(super) fn drop_other_discs(&self, kept: Option<Id>) {
        let Ok(entries) = std::fs::read_dir(self.folder.path()) else {
            return;
        };
        let kept = kept.map(|id| self.folder.media(id));
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if name.starts_with("media-") && Some(&path) != kept.as_ref() {
                let _ = std::fs::remove_file(&path);
            }
        }
    }

    async fn quit(&self) -> Result<(), TypedError> {
        self.told(|session| session.quit()).await?;
        if !self.ends_within(ENDING).await {
            self.kill().await?;
        }
        Ok(())
    }

    async fn kill(&self) -> Result<(), TypedError> {
        let Some(process) = &self.process else {
            return Ok(());
        };
        process.kill();
        if !self.ends_within(ENDING).await {
            tracing::warn!(vm = %self.id, pid = process.identity().pid, "a killed process does not end");
        }
        Ok(())
    }

    async fn ends_within(&self, bound: Duration) -> bool {
        let Some(process) = &self.process else {
            return true;
        };
        tokio::time::timeout(bound, process.ended()).await.is_ok()
    }

    /// Records that there is no process any more, and why. `why`: where it is known better than from
    /// the engine's log.
    pub(super) async fn end(
        &mut self,
        mut vm: Vm,
        event: VmEvent,
        cause: ExitCause,
        why: Option<String>,
    ) -> Result<(), TypedError> {
        let status = self.process.as_ref().and_then(|process| process.reap());
        self.forget_connection();
        let message = why.unwrap_or_else(|| self.message(cause, status, &vm));
        if !vm.apply(event) {
            tracing::error!(vm = %self.id, phase = %vm.status.phase, ?event, "impossible change");
            self.process = None;
            return Ok(());
        }
        let bad = matches!(event, VmEvent::Crashed | VmEvent::StartFailed);
        vm.status.reason = bad.then(|| message.clone());
        vm.status.exit = Some(Exit {
            cause,
            message,
            at: Timestamp::now(),
        });
        vm.status.process = None;
        vm.status
            .conditions
            .retain(|condition| !MARKS.contains(&condition.name.as_str()));
        self.shop.registry.update(&mut vm.stored()).await?;
        // Not before: whoever changed the VM at this moment makes this run again, and how the process
        // ended is to be had from it alone.
        self.process = None;
        Ok(())
    }

    fn message(&self, cause: ExitCause, status: Option<String>, vm: &Vm) -> String {
        let text = match cause {
            ExitCause::GuestShutdown => "The guest shut itself down.",
            ExitCause::Stopped => "It was asked to stop, and did.",
            ExitCause::DeadlinePassed => {
                return format!(
                    "It was asked to stop, did not within {} s, and was killed.",
                    vm.spec.stop_deadline
                );
            }
            ExitCause::Killed => "It was killed on request.",
            ExitCause::GuestPanic => "The guest's kernel panicked; see its console.",
            ExitCause::HostRebooted => "The host was rebooted under it.",
            ExitCause::StartFailed | ExitCause::EngineDied => {
                let how = status.map_or(String::new(), |status| format!(" ({status})"));
                let said = self.folder.engine_said();
                let said = said.map_or(String::new(), |said| format!(": {said}"));
                let what = match cause {
                    ExitCause::StartFailed => "QEMU ended before the guest ran",
                    _ => "QEMU ended by itself or was killed by somebody else",
                };
                return format!("{what}{how}{said}.");
            }
        };
        text.to_owned()
    }

    /// Removes the folder, then the record with the VM's uses of images. `false`: an image changed
    /// meanwhile, look again.
    pub(super) async fn remove(
        &mut self,
        vm: Vm,
    ) -> Result<bool, Box<dyn std::error::Error + Send + Sync>> {
        let folder = self.folder.clone();
        tokio::task::spawn_blocking(move || folder.remove()).await??;
        let registry = &self.shop.registry;
        let mut txn = Txn::new().remove(&vm);
        for id in images::ids(&vm.spec) {
            if let Some(mut image) = registry.fetch::<Image>(id).await? {
                image.status.users.retain(|user| user.id != vm.metadata.id);
                txn = txn.update(&image.stored());
            }
        }
        registry.live().clear_prefix(&format!("/vms/{}/", self.id));
        match registry.txn(txn).await {
            Ok(_) => Ok(true),
            Err(TxnError::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

/// Puts a mark on the VM, once.
pub(crate) fn mark(vm: &mut Vm, name: &str) {
    if super::step::has(&vm.status, name) {
        return;
    }
    let message = match name {
        super::step::KILL_ASKED => "It is being killed.",
        super::step::DEADLINE_PASSED => "It did not shut down in time and is being killed.",
        super::step::GUEST_SHUTDOWN => "The guest shut itself down.",
        _ => "The guest's kernel panicked.",
    };
    vm.status.conditions.push(Condition::new(name, message));
}
