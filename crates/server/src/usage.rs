//! Figures of use flow only while somebody looks at them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::http::StatusCode;
use kinglet_host::usage::Sampler;
use kinglet_model::problem::ProblemKind;
use kinglet_model::vm::VmUsage;
use kinglet_model::{Problem, Resource, Vm};
use kinglet_registry::Registry;

use crate::app::App;
use crate::pending::{Machines, UsageWatch};
use crate::problem::{Answer, Refused};

/// How often the machine's figures are taken.
const PERIOD: Duration = Duration::from_secs(2);

/// How long the first figures of a VM may take.
const FIRST: Duration = Duration::from_secs(5);

/// The live figure of the machine.
pub const HOST_USAGE: &str = "/host/usage";

/// Takes the figures while there is a [`Watching`].
pub struct UsageSampling {
    registry: Registry,
    machines: Machines,
    data: PathBuf,
    current: Mutex<Weak<Watching>>,
}

/// Somebody looks. The sampling ends with the last one.
pub struct Watching {
    registry: Registry,
    task: tokio::task::JoinHandle<()>,
    _machines: UsageWatch,
}

impl UsageSampling {
    /// Sampling of this machine and its VMs.
    pub fn new(registry: Registry, machines: Machines, data: PathBuf) -> Self {
        Self {
            registry,
            machines,
            data,
            current: Mutex::default(),
        }
    }

    /// Begins to look, or joins whoever does.
    pub fn watch(&self) -> Arc<Watching> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watching) = current.upgrade() {
            return watching;
        }
        let task = tokio::spawn(sample(self.registry.clone(), self.data.clone()));
        let watching = Arc::new(Watching {
            registry: self.registry.clone(),
            task,
            _machines: self.machines.watch_usage(),
        });
        *current = Arc::downgrade(&watching);
        watching
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
        self.registry.live().clear(HOST_USAGE);
    }
}

async fn sample(registry: Registry, data: PathBuf) {
    let mut sampler = match Sampler::new(&data) {
        Ok(sampler) => sampler,
        Err(error) => return tracing::warn!(%error, "the machine's figures cannot be taken"),
    };
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match sampler.sample().map(serde_json::to_value) {
            Ok(Ok(usage)) => registry.live().set(HOST_USAGE, usage),
            Ok(Err(error)) => tracing::warn!(%error, "the machine's figures cannot be sent"),
            Err(error) => tracing::warn!(%error, "the machine's figures cannot be taken"),
        }
    }
}

/// What a VM uses right now; waits for the first figures where nobody looked before.
pub async fn of_vm(app: &App, vm: &Vm) -> Answer<VmUsage> {
    if !vm.status.phase.has_process() {
        let detail = format!("VM {} is {}; it uses nothing.", vm.name(), vm.status.phase);
        let refused = Problem::new(ProblemKind::Refused, "vm-state", detail);
        return Err(refused
            .with_state(vm.status.phase.as_str(), vm.actions())
            .into());
    }
    let live = app.registry.live();
    let key = format!("/vms/{}/usage", vm.id());
    let mut reader = live.subscribe();
    let _watching = app.usage.watch();
    let first = async {
        loop {
            if let Some(usage) = live.get(&key) {
                return Some(usage);
            }
            // What moved, or how much was missed, does not matter: the figure is looked up.
            let _ = reader.next().await?;
        }
    };
    let usage = tokio::time::timeout(FIRST, first).await.ok().flatten();
    usage
        .and_then(|usage| serde_json::from_value(usage).ok())
        .ok_or_else(|| {
            let detail = format!("VM {} gave no figures in time; try again.", vm.name());
            Refused::new(ProblemKind::Internal, "no-figures", detail)
                .with_status(StatusCode::SERVICE_UNAVAILABLE)
        })
}
