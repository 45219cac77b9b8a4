//! Looking: what is true of a VM right now, whatever was recorded.

use std::sync::Arc;
use std::time::Duration;

use kinglet_model::vm::{Power, VmPhase};
use kinglet_model::{Id, Progress, Vm};
use serde_json::json;
use tokio::time::Instant;

use super::step::{KILL_ASKED, Observed, Process as Seen, Shutdown, has};
use super::{ASK_AGAIN, Keeper};
use crate::engine::Guest;
use crate::images;
use crate::process::{Process, holder_of};

impl Keeper {
    pub(super) async fn observe(&mut self, vm: &Vm) -> Observed {
        let process = self.look_at_process(vm).await;
        let present = matches!(process, Seen::Present { .. });
        Observed {
            media_right: !present || self.media_right(vm).await,
            images: if present {
                None
            } else {
                self.images_not_ready(vm).await
            },
            same_boot: vm
                .status
                .process
                .as_ref()
                .is_none_or(|process| process.boot_id == self.shop.host.boot_id),
            shutdown: self.shutdown(vm),
            process,
        }
    }

    async fn look_at_process(&mut self, vm: &Vm) -> Seen {
        if self.process.as_ref().is_some_and(Process::has_ended) {
            self.forget_connection();
            // Kept until its end was recorded, for its exit status.
            return Seen::Absent;
        }
        if self.process.is_none() {
            match self.find_process() {
                Ok(Found::Nobody) => return Seen::Absent,
                Ok(Found::Somebody) => return Seen::Hidden,
                Ok(Found::Process(process)) => self.process = Some(process),
                Err(error) => {
                    tracing::warn!(vm = %self.id, %error, "cannot look for the VM's process");
                    return Seen::Hidden;
                }
            }
        }
        let identity = self.process.as_ref().map(Process::identity);
        let recorded = identity.is_some() && identity == vm.status.process.as_ref();
        let guest = if has(&vm.status, KILL_ASKED) {
            // Of no interest any more, and it may not answer.
            None
        } else {
            self.ask_guest().await
        };
        Seen::Present { recorded, guest }
    }

    /// Who holds the VM's lock.
    fn find_process(&self) -> std::io::Result<Found> {
        let Some(_free) = (match self.folder.lock() {
            // The folder is gone in the middle of a removal.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nobody),
            other => other?,
        }) else {
            let lock = std::fs::File::open(self.folder.lock_file())?;
            let Some(pid) = holder_of(&lock, self.id)? else {
                return Ok(Found::Somebody);
            };
            return Ok(
                Process::open(pid, &self.shop.host.boot_id).map_or(Found::Somebody, Found::Process)
            );
        };
        Ok(Found::Nobody)
    }

    /// What the guest does, connecting first where need be.
    async fn ask_guest(&mut self) -> Option<Guest> {
        if self.session.is_none() {
            let process = self.process.clone()?;
            let attached = tokio::select! {
                biased;
                () = process.ended() => return None,
                attached = self.shop.engine.attach(self.folder.clone()) => attached,
            };
            match attached {
                Ok(session) => {
                    self.changes = Some(session.changes());
                    self.session = Some(Arc::from(session));
                }
                Err(error) => {
                    tracing::debug!(vm = %self.id, %error, "the engine does not answer yet");
                    return None;
                }
            }
            self.meter
                .attach(self.process.as_ref(), self.session.clone());
        }
        if let Some(changes) = &mut self.changes {
            changes.borrow_and_update();
        }
        match self.session.as_ref()?.guest().await {
            Ok(guest) => Some(guest),
            Err(error) => {
                tracing::debug!(vm = %self.id, %error, "the engine does not answer");
                self.forget_connection();
                None
            }
        }
    }

    pub(super) fn forget_connection(&mut self) {
        self.session = None;
        self.changes = None;
        self.asked = None;
        self.meter.attach(None, None);
    }

    async fn media_right(&self, vm: &Vm) -> bool {
        let matters = matches!(vm.status.phase, VmPhase::Running | VmPhase::Paused);
        if !matters || has(&vm.status, KILL_ASKED) {
            return true;
        }
        let Some(session) = &self.session else {
            return true;
        };
        let wanted = vm
            .spec
            .media
            .as_ref()
            .and_then(|media| media.parse::<Id>().ok());
        // What cannot be read is left alone.
        session.media().await.map_or(true, |found| found == wanted)
    }

    async fn images_not_ready(&self, vm: &Vm) -> Option<String> {
        let matters = matches!(
            vm.status.phase,
            VmPhase::Stopped | VmPhase::Waiting | VmPhase::Starting
        );
        if vm.spec.power == Power::Off || !matters {
            return None;
        }
        match images::not_ready(&self.shop.registry, &vm.spec).await {
            Ok(why) => why,
            Err(problem) => Some(problem.detail),
        }
    }

    /// The deadline runs from the first look at a VM that is stopping: a restart of the program gives
    /// the guest its time anew.
    fn shutdown(&mut self, vm: &Vm) -> Shutdown {
        if vm.status.phase != VmPhase::Stopping {
            self.begun = None;
            self.asked = None;
            return Shutdown::NotAsked;
        }
        let begun = *self.begun.get_or_insert_with(Instant::now);
        if begun.elapsed() >= Duration::from_secs(vm.spec.stop_deadline.into()) {
            return Shutdown::Overdue;
        }
        match self.asked {
            Some(asked) if asked.elapsed() < ASK_AGAIN => Shutdown::Asked,
            _ => Shutdown::NotAsked,
        }
    }

    /// Starting and stopping, for those who watch.
    pub(super) fn tell_progress(&self, vm: &Vm) {
        let key = format!("/vms/{}/progress", self.id);
        let live = self.shop.registry.live();
        let progress = match vm.status.phase {
            VmPhase::Starting => Progress {
                task: "starting".to_owned(),
                done: 0,
                total: None,
                rate: None,
            },
            VmPhase::Stopping => Progress {
                task: "stopping".to_owned(),
                done: self.begun.map_or(0, |begun| begun.elapsed().as_secs()),
                total: Some(vm.spec.stop_deadline.into()),
                rate: None,
            },
            _ => return live.clear(&key),
        };
        live.set(key, json!(progress));
    }
}

enum Found {
    Nobody,
    Somebody,
    Process(Process),
}
