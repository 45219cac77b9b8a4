//! The handle: opens what is there, finds its processes again, and keeps one keeper a VM.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kinglet_model::problem::ProblemKind;
use kinglet_model::vm::VmUsage;
use kinglet_model::{Id, Image, Problem, Revision, Vm};
use kinglet_registry::typed::{ResourceChange, TypedError};
use kinglet_registry::{Registry, WatchError};
use serde_json::json;
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::{HostFacts, ImageFiles, MachinesConfig};
use crate::console::{Console, Watcher};
use crate::engine::Engine;
use crate::engine::qemu::QemuEngine;
use crate::folder::{self, Folder};
use crate::keeper::{Handle, Shop};
use crate::problem::{no_vm, registry as registry_problem};
use crate::usage::UsageGuard;

/// How often figures are read while somebody watches.
const SAMPLE: Duration = Duration::from_secs(1);

/// Why the VMs cannot be kept here.
#[derive(Debug, Error)]
pub enum OpenError {
    /// A folder cannot be made or read.
    #[error("cannot use the folder {} for VMs: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// QEMU is told paths as text.
    #[error("the folder {} has bytes in its name that are not UTF-8; choose another", .0.display())]
    NotText(PathBuf),
    /// The host has no inotify instance left.
    #[error("cannot watch the consoles of VMs: {0}; raise fs.inotify.max_user_instances")]
    Watch(#[source] io::Error),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] TypedError),
}

/// The virtual machines of this host. Cheap to clone.
#[derive(Clone)]
pub struct Machines {
    inner: Arc<Inner>,
}

struct Inner {
    config: MachinesConfig,
    shop: Arc<Shop>,
    files: Arc<dyn ImageFiles>,
    keepers: Mutex<HashMap<Id, Handle>>,
    creating: tokio::sync::Mutex<()>,
    watchers: watch::Sender<usize>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Machines {
    /// Opens the folders. Nothing is touched before [`Machines::start`]. Call on a runtime.
    ///
    /// # Errors
    /// Where a folder or inotify cannot be used.
    pub fn open(
        config: MachinesConfig,
        registry: Registry,
        files: Arc<dyn ImageFiles>,
        host: HostFacts,
    ) -> Result<Self, OpenError> {
        let engine = Arc::new(QemuEngine::new(host.clone(), config.sandbox));
        Self::with_engine(config, registry, files, host, engine)
    }

    /// The same with an engine of one's own.
    ///
    /// # Errors
    /// As [`Machines::open`].
    pub fn with_engine(
        mut config: MachinesConfig,
        registry: Registry,
        files: Arc<dyn ImageFiles>,
        host: HostFacts,
        engine: Arc<dyn Engine>,
    ) -> Result<Self, OpenError> {
        for path in [&mut config.data, &mut config.runtime] {
            let vms = path.join("vms");
            folder::private_folder(&vms)
                .and_then(|()| path.canonicalize())
                .map(|whole| *path = whole)
                .map_err(|source| OpenError::Folder { path: vms, source })?;
            if path.to_str().is_none() {
                return Err(OpenError::NotText(path.clone()));
            }
        }
        let watcher = Watcher::start(config.console_kept).map_err(OpenError::Watch)?;
        let shop = Arc::new(Shop {
            registry,
            engine,
            host,
            watcher,
        });
        Ok(Self {
            inner: Arc::new(Inner {
                config,
                shop,
                files,
                keepers: Mutex::default(),
                creating: tokio::sync::Mutex::default(),
                watchers: watch::Sender::new(0),
                stop: CancellationToken::new(),
                tasks: TaskTracker::new(),
            }),
        })
    }

    /// Finds each VM's process again, removes what creations and deletions that were cut off left
    /// behind, and begins to bring every VM to its spec.
    ///
    /// # Errors
    /// Where the registry cannot be read.
    pub async fn start(&self) -> Result<(), OpenError> {
        let all = self.registry().list_all::<Vm>().await?;
        for error in &all.unreadable {
            tracing::error!(%error, "a VM cannot be read and is left alone");
        }
        // Folders of VMs that cannot be read must not look like nobody's.
        if all.unreadable.is_empty() {
            let known: std::collections::HashSet<Id> =
                all.items.iter().map(|vm| vm.metadata.id).collect();
            self.sweep(&|id| known.contains(&id));
        }
        for vm in &all.items {
            self.adopt(vm.metadata.id);
        }
        self.spawn(Self::watch_vms, all.revision);
        self.spawn(Self::watch_images, all.revision);
        let machines = self.clone();
        let stop = self.inner.stop.clone();
        self.inner.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = machines.sample() => {}
            }
        });
        Ok(())
    }

    /// Lets go of every VM. They run on, and are found again by the next [`Machines::start`].
    pub async fn shutdown(&self) {
        self.inner.stop.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
        self.keepers().clear();
    }

    /// The serial console of a VM.
    ///
    /// # Errors
    /// Where there is no such VM.
    pub fn console(&self, id: Id) -> Result<Console, Problem> {
        let seat = self
            .keepers()
            .get(&id)
            .map(|keeper| Arc::clone(&keeper.seat));
        seat.map(|seat| Console::new(self.folder(id), seat))
            .ok_or_else(|| no_vm(id))
    }

    /// Keeps the figures of all running VMs moving on the live lane (`/vms/ID/usage`) while it is held.
    pub fn watch_usage(&self) -> UsageGuard {
        UsageGuard::new(self.inner.watchers.clone())
    }

    /// What a VM uses now; `None` where it is not running.
    ///
    /// # Errors
    /// Where there is no such VM.
    pub async fn usage(&self, id: Id) -> Result<Option<VmUsage>, Problem> {
        let vm = self.expect(id, None).await?;
        let keeper = self.keepers().get(&id).cloned();
        let Some(keeper) = keeper else {
            return Ok(None);
        };
        Ok(keeper.meter.read(&vm).await)
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.inner.shop.registry
    }

    pub(crate) fn engine(&self) -> &dyn Engine {
        self.inner.shop.engine.as_ref()
    }

    pub(crate) fn host(&self) -> &HostFacts {
        &self.inner.shop.host
    }

    pub(crate) fn files(&self) -> Arc<dyn ImageFiles> {
        Arc::clone(&self.inner.files)
    }

    pub(crate) fn creating(&self) -> &tokio::sync::Mutex<()> {
        &self.inner.creating
    }

    pub(crate) fn folder(&self, id: Id) -> Folder {
        Folder::of(&self.inner.config.data, &self.inner.config.runtime, id)
    }

    /// The VM, if it is still at `if_match`.
    pub(crate) async fn expect(&self, id: Id, if_match: Option<Revision>) -> Result<Vm, Problem> {
        let vm = self
            .registry()
            .fetch::<Vm>(id)
            .await
            .map_err(|error| registry_problem(&error))?;
        let vm = vm.ok_or_else(|| no_vm(id))?;
        match if_match {
            Some(wanted) if wanted != vm.metadata.revision => Err(Problem::new(
                ProblemKind::Changed,
                "changed",
                format!(
                    "VM {} was changed meanwhile (revision {}); look at it again.",
                    vm.metadata.name, vm.metadata.revision
                ),
            )),
            _ => Ok(vm),
        }
    }

    /// Has the VM's keeper look at it now, also if it waits for an answer of the engine.
    pub(crate) fn interrupt(&self, id: Id) {
        if let Some(keeper) = self.keepers().get(&id) {
            keeper.interrupt.notify_one();
        }
        self.wake(id);
    }

    /// Has the VM's keeper look at it now.
    pub(crate) fn wake(&self, id: Id) {
        if let Some(keeper) = self.keepers().get(&id) {
            keeper.wake.notify_one();
        }
    }

    /// Gives the VM a keeper, if it has none.
    pub(crate) fn adopt(&self, id: Id) {
        if self.inner.stop.is_cancelled() {
            return;
        }
        let mut keepers = self.keepers();
        if keepers.contains_key(&id) {
            return;
        }
        let inner = Arc::downgrade(&self.inner);
        let gone = move || {
            if let Some(inner) = inner.upgrade() {
                lock(&inner.keepers).remove(&id);
            }
        };
        match self.start_keeper(id, gone) {
            Ok(keeper) => {
                keepers.insert(id, keeper);
            }
            Err(error) => tracing::error!(vm = %id, %error, "the VM cannot be looked after"),
        }
    }

    fn start_keeper(&self, id: Id, gone: impl FnOnce() + Send + 'static) -> io::Result<Handle> {
        let folder = self.folder(id);
        // A folder lost with its disks, or half removed: the keeper says or finishes what is to be.
        folder.create()?;
        let inner = &self.inner;
        Handle::start(&inner.shop, id, &folder, &inner.stop, &inner.tasks, gone)
    }

    fn sweep(&self, known: &dyn Fn(Id) -> bool) {
        let config = &self.inner.config;
        if let Err(error) = folder::sweep(&config.data, &config.runtime, known) {
            tracing::warn!(%error, "folders of VMs that are no more could not be removed");
        }
    }

    /// Runs `task` until the VMs are let go of. When the log was compacted away under it, everything
    /// is looked at and it begins anew from the present.
    fn spawn<F>(&self, task: impl Fn(Self, Revision) -> F + Send + 'static, from: Revision)
    where
        F: Future<Output = Result<(), WatchError>> + Send + 'static,
    {
        let (machines, stop) = (self.clone(), self.inner.stop.clone());
        let follow = async move {
            let mut from = from;
            while let Err(error) = task(machines.clone(), from).await {
                tracing::warn!(%error, "changes were missed; looking at every VM");
                if !matches!(error, WatchError::Compacted { .. }) {
                    tokio::time::sleep(SAMPLE).await;
                }
                from = machines.registry().current_revision();
                machines
                    .keepers()
                    .values()
                    .for_each(|keeper| keeper.wake.notify_one());
            }
        };
        self.inner.tasks.spawn(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = follow => {}
            }
        });
    }

    /// Wakes the keeper of each VM that is changed, by whomever.
    async fn watch_vms(self, from: Revision) -> Result<(), WatchError> {
        let mut watch = self.registry().watch_kind::<Vm>(from.next());
        while let Some(batch) = watch.next().await {
            for change in batch?.1 {
                if let ResourceChange::Put { object, .. } = change {
                    self.adopt(object.metadata.id);
                    self.wake(object.metadata.id);
                }
            }
        }
        Ok(())
    }

    /// Wakes the keepers of the VMs that use a changed image: one may be waiting for it.
    async fn watch_images(self, from: Revision) -> Result<(), WatchError> {
        let mut watch = self.registry().watch_kind::<Image>(from.next());
        while let Some(batch) = watch.next().await {
            for change in batch?.1 {
                if let ResourceChange::Put { object, .. } = change {
                    object
                        .status
                        .users
                        .iter()
                        .for_each(|user| self.wake(user.id));
                }
            }
        }
        Ok(())
    }

    /// Reads figures while somebody watches; asleep otherwise.
    async fn sample(&self) {
        let mut watchers = self.inner.watchers.subscribe();
        while watchers.wait_for(|count| *count > 0).await.is_ok() {
            let keepers: Vec<(Id, Handle)> = self
                .keepers()
                .iter()
                .map(|(id, keeper)| (*id, keeper.clone()))
                .collect();
            for (id, keeper) in keepers {
                self.sample_one(id, &keeper).await;
            }
            tokio::time::sleep(SAMPLE).await;
        }
    }

    async fn sample_one(&self, id: Id, keeper: &Handle) {
        let key = format!("/vms/{id}/usage");
        let live = self.registry().live();
        if !keeper.meter.is_attached() {
            return live.clear(&key);
        }
        let Ok(Some(vm)) = self.registry().fetch::<Vm>(id).await else {
            return;
        };
        match keeper.meter.read(&vm).await {
            Some(usage) => live.set(key, json!(usage)),
            None => live.clear(&key),
        }
    }

    fn keepers(&self) -> std::sync::MutexGuard<'_, HashMap<Id, Handle>> {
        lock(&self.inner.keepers)
    }
}

fn lock(keepers: &Mutex<HashMap<Id, Handle>>) -> std::sync::MutexGuard<'_, HashMap<Id, Handle>> {
    keepers.lock().unwrap_or_else(PoisonError::into_inner)
}
