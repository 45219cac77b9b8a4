//! Figures of use flow only while somebody looks at them.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use kinglet_host::usage::Sampler;
use kinglet_registry::Registry;
use kinglet_vms::{Machines, UsageGuard};

/// How often the machine's figures are taken.
const PERIOD: Duration = Duration::from_secs(2);

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
    _machines: UsageGuard,
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
