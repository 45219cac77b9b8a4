//! One task a VM, so that what is done about one VM never overlaps. It reconciles whenever something
//! may have changed: a command, the registry, the guest, the end of the process, a deadline.
//!
//! [`step::next_step`] decides, `perform` does. A step that is cut off by a crash is decided again
//! from what is found.

pub mod step;

mod launch;
mod observe;
pub(crate) mod perform;

use std::sync::Arc;
use std::time::Duration;

use kinglet_model::{Id, Vm};
use kinglet_registry::Registry;
use kinglet_registry::typed::TypedError;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::config::HostFacts;
use crate::console::{Seat, Watcher};
use crate::engine::{Engine, Session};
use crate::folder::Folder;
use crate::process::Process;
use crate::usage::Meter;
use step::{Step, next_step};

/// After how long something that is not told by an event is looked at again.
const AGAIN: Duration = Duration::from_millis(200);

/// After how long a guest that is still up is asked again to shut down: one that was booting did not
/// hear it the first time.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// After a failure of the host or the registry.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// What all keepers share.
pub(crate) struct Shop {
    pub(crate) registry: Registry,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) host: HostFacts,
    pub(crate) watcher: Watcher,
}

/// One VM's keeper, as others see it.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) wake: Arc<Notify>,
    pub(crate) interrupt: Arc<Notify>,
    pub(crate) seat: Arc<Seat>,
    pub(crate) meter: Arc<Meter>,
    stop: CancellationToken,
}

impl Handle {
    /// Starts the keeper of a VM whose folder is there.
    pub(crate) fn start(
        shop: &Arc<Shop>,
        id: Id,
        folder: &Folder,
        stop: &CancellationToken,
        tasks: &tokio_util::task::TaskTracker,
        gone: impl FnOnce() + Send + 'static,
    ) -> std::io::Result<Self> {
        let seat = shop.watcher.add(folder.console_log())?;
        let handle = Self {
            wake: Arc::default(),
            interrupt: Arc::default(),
            seat,
            meter: Arc::default(),
            stop: stop.child_token(),
        };
        let keeper = Keeper {
            shop: Arc::clone(shop),
            id,
            folder: folder.clone(),
            meter: Arc::clone(&handle.meter),
            interrupt: Arc::clone(&handle.interrupt),
            process: None,
            session: None,
            changes: None,
            asked: None,
            begun: None,
        };
        let (wake, stop) = (Arc::clone(&handle.wake), handle.stop.clone());
        tasks.spawn(async move {
            let ended = tokio::select! {
                biased;
                () = stop.cancelled() => false,
                () = keeper.run(wake) => true,
            };
            if ended {
                gone();
            }
        });
        Ok(handle)
    }
}

/// The task's own state: nothing that cannot be found again.
pub(crate) struct Keeper {
    shop: Arc<Shop>,
    id: Id,
    folder: Folder,
    meter: Arc<Meter>,
    /// A kill does not wait for an engine that does not answer.
    interrupt: Arc<Notify>,
    process: Option<Process>,
    session: Option<Arc<dyn Session>>,
    /// What the session tells. Marked as seen before the guest is asked, so that nothing is missed.
    changes: Option<watch::Receiver<u64>>,
    /// When the guest was asked to shut down.
    asked: Option<Instant>,
    /// When the shutdown began, for its deadline.
    begun: Option<Instant>,
}

/// How the next look comes about.
enum Rest {
    /// When something happens.
    Event,
    /// Then, or earlier when something happens.
    Until(Instant),
    /// Never: the VM is gone.
    Gone,
}

impl Keeper {
    async fn run(mut self, wake: Arc<Notify>) {
        loop {
            let rest = self.reconcile().await;
            let deadline = match rest {
                Rest::Gone => return,
                Rest::Event => None,
                Rest::Until(deadline) => Some(deadline),
            };
            tokio::select! {
                () = wake.notified() => {}
                () = happened(self.changes.as_mut(), self.process.as_ref()) => {}
                () = sleep_until(deadline) => {}
            }
        }
    }

    /// Brings the VM's status to its spec, as far as can be done without waiting for something to
    /// happen. A kill cuts off what is being done, as a crash could, and has it decided anew.
    async fn reconcile(&mut self) -> Rest {
        let interrupt = Arc::clone(&self.interrupt);
        loop {
            let rest = tokio::select! {
                biased;
                () = interrupt.notified() => None,
                rest = self.pass() => rest,
            };
            if let Some(rest) = rest {
                return rest;
            }
        }
    }

    /// Looks, decides, does one step. `None`: there may be more to do.
    async fn pass(&mut self) -> Option<Rest> {
        let vm = match self.shop.registry.fetch::<Vm>(self.id).await {
            Ok(Some(vm)) => vm,
            Ok(None) => return Some(Rest::Gone),
            Err(error) => return Some(self.failed("read", &error)),
        };
        let seen = self.observe(&vm).await;
        let step = next_step(&vm.spec, &vm.status, &seen);
        tracing::debug!(vm = %vm.metadata.name, phase = %vm.status.phase, ?seen, ?step, "reconcile");
        self.tell_progress(&vm);
        match step {
            Step::Rest => Some(self.rest(&vm)),
            Step::LookAgain => Some(Rest::Until(Instant::now() + AGAIN)),
            Step::Remove => match self.remove(vm).await {
                Ok(gone) => gone.then_some(Rest::Gone),
                Err(error) => Some(self.failed("remove", &error)),
            },
            step => match self.perform(vm, step).await {
                // Stale: somebody else changed it; decide anew.
                Ok(()) | Err(TypedError::Stale { .. } | TypedError::Missing { .. }) => None,
                Err(error) => Some(self.failed("update", &error)),
            },
        }
    }

    fn failed(&self, what: &str, error: &dyn std::fmt::Display) -> Rest {
        tracing::warn!(vm = %self.id, %error, "cannot {what} the VM; trying again");
        Rest::Until(Instant::now() + AFTER_FAILURE)
    }

    /// While stopping, a look at each second: for the deadline and for those who watch it.
    fn rest(&mut self, vm: &Vm) -> Rest {
        if self.process.as_ref().is_some_and(Process::has_ended) {
            // Ended without being recorded as the VM's.
            self.process = None;
        }
        if vm.status.phase != kinglet_model::vm::VmPhase::Stopping {
            return Rest::Event;
        }
        Rest::Until(Instant::now() + Duration::from_secs(1))
    }
}

/// Something that a VM's process or connection tells by itself.
async fn happened(changes: Option<&mut watch::Receiver<u64>>, process: Option<&Process>) {
    let changed = async {
        match changes {
            // An error is the end of the connection, which is a change too.
            Some(changes) => drop(changes.changed().await),
            None => std::future::pending().await,
        }
    };
    let ended = async {
        match process {
            Some(process) => process.ended().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = changed => {}
        () = ended => {}
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
