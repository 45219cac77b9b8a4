//! The way in: looks, decides, acts.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use kinglet_model::Size;
use kinglet_model::memory::{SwapFacts, SwapPhase, SwapSpec, SwapStatus};

use super::look::{look, slots};
use super::record::{Record, sweep};
use super::run::{Hands, run};
use super::{HostView, OwnFile, Refusal, Step, SwapError, SwapPath, SwapPlan, swap_users};
use crate::boot::Boot;
use crate::wear;

/// So many of the largest users are told.
const USERS: usize = 8;

/// Where the keeper works.
#[derive(Debug, Clone)]
pub struct SwapConfig {
    /// A folder of Kinglet's own, for the record of places and the lock.
    pub state: PathBuf,
    /// Where the swap file lies when nothing else is said: on the data folder's file system.
    pub default_path: SwapPath,
    /// Folders within which a swap file may lie; `/` for anywhere.
    pub allowed: Vec<PathBuf>,
    /// Folders within which it may not, such as those of images.
    pub forbidden: Vec<PathBuf>,
    /// The root of the boot configuration; `/` for this host.
    pub root: PathBuf,
    /// Where `/proc` is.
    pub proc: PathBuf,
    /// Where `/sys` is.
    pub sys: PathBuf,
}

impl SwapConfig {
    /// This host's: any place is allowed.
    #[must_use]
    pub fn of_host(state: PathBuf, default_path: SwapPath) -> Self {
        Self {
            state,
            default_path,
            allowed: vec!["/".into()],
            forbidden: Vec::new(),
            root: "/".into(),
            proc: "/proc".into(),
            sys: "/sys".into(),
        }
    }
}

/// Keeps the host's swap file as it is wanted. Blocks; switching off can take minutes.
#[derive(Debug)]
pub struct SwapKeeper {
    config: SwapConfig,
    record: Record,
    boot: Boot,
}

impl SwapKeeper {
    /// A keeper. Nothing is touched yet.
    #[must_use]
    pub fn new(config: SwapConfig) -> Self {
        Self {
            record: Record::new(config.state.clone()),
            boot: Boot::new(&config.root),
            config,
        }
    }

    /// What is there, as far as it matters to `spec`.
    ///
    /// # Errors
    /// Where the host cannot be looked at.
    pub fn view(&self, spec: &SwapSpec) -> Result<HostView, SwapError> {
        look(&self.config, spec)
    }

    /// What would be done to come to `spec`.
    ///
    /// # Errors
    /// Why it would not be done.
    pub fn plan(&self, spec: &SwapSpec) -> Result<SwapPlan, SwapError> {
        Ok(SwapPlan::make(spec, &self.view(spec)?)?)
    }

    /// Brings the host to `spec`, from wherever it is: also from what a crash left. Returns what was
    /// done.
    ///
    /// # Errors
    /// A refusal, with nothing written; or the step that failed, and what state that leaves.
    pub fn reconcile(&self, spec: &SwapSpec) -> Result<SwapPlan, SwapError> {
        self.reconcile_watched(spec, &mut |_| Ok(()))
    }

    /// The same, with `watch` called before each step; what it fails with fails the step.
    ///
    /// # Errors
    /// As [`Self::reconcile`].
    pub fn reconcile_watched(
        &self,
        spec: &SwapSpec,
        watch: &mut dyn FnMut(&Step) -> io::Result<()>,
    ) -> Result<SwapPlan, SwapError> {
        let _lock = self.lock()?.ok_or(Refusal::Busy)?;
        self.sweep()?;
        let view = self.view(spec)?;
        let plan = SwapPlan::make(spec, &view)?;
        run(&plan, &self.hands(&view), watch)?;
        Ok(plan)
    }

    /// What is, beside what is wanted. `vm_name` gives the name of the VM that a process runs.
    ///
    /// # Errors
    /// Where the host cannot be looked at.
    pub fn status(
        &self,
        spec: &SwapSpec,
        vm_name: impl Fn(u32) -> Option<String>,
    ) -> Result<SwapStatus, SwapError> {
        let changing = self
            .record
            .is_locked()
            .map_err(SwapError::io("lock", &self.record.path()))?;
        let view = self.view(spec)?;
        let as_wanted = SwapPlan::make(spec, &view).is_ok_and(|plan| plan.is_empty());
        let file = shown(&view);
        let active = file.and_then(|own| own.active.as_ref());
        let phase = SwapPhase::of(SwapFacts {
            supported: view.kernel_has_swap && view.permitted,
            changing,
            exists: file.is_some(),
            active: active.is_some(),
            persistent: !view.boot.is_empty(),
            as_wanted,
        });
        Ok(SwapStatus {
            phase,
            path: file.map(|own| own.slot.to_string()),
            file_exists: file.is_some(),
            file_size: file.map_or(Size(0), |own| own.size),
            active: active.is_some(),
            persistent: file
                .is_some_and(|own| view.boot.iter().any(|entry| entry.file == own.slot)),
            boots_with: Some(self.boot.manager()),
            size: active.map_or(Size(0), |active| active.size),
            used: active.map_or(Size(0), |active| active.used),
            priority: active.map(|active| active.priority),
            others: view
                .others
                .iter()
                .map(crate::proc::ActiveSwap::device)
                .collect(),
            users: swap_users(&self.config.proc, USERS, vm_name),
            wear: file.and_then(|own| {
                wear::of_file(&self.config.proc, &self.config.sys, own.slot.as_path())
            }),
            actions: phase.actions(),
        })
    }

    fn lock(&self) -> Result<Option<File>, SwapError> {
        self.record
            .lock()
            .map_err(SwapError::io("lock", &self.record.path()))
    }

    /// Removes what a killed daemon left half made.
    fn sweep(&self) -> Result<(), SwapError> {
        self.record
            .sweep()
            .map_err(SwapError::io("clean", &self.config.state))?;
        self.boot.sweep();
        let recorded = self
            .record
            .load()
            .map_err(SwapError::io("read", &self.record.path()))?;
        for place in &recorded {
            sweep(place.folder()).map_err(SwapError::io("clean", place.folder()))?;
        }
        Ok(())
    }

    fn hands(&self, view: &HostView) -> Hands<'_> {
        let mut places = view.recorded.clone();
        places.extend(view.place.iter().flatten().map(|place| place.path.clone()));
        Hands {
            record: &self.record,
            boot: &self.boot,
            ours: slots(&places),
            before: view.recorded.clone(),
            booted: view.boot.first().cloned(),
        }
    }
}

/// The file that the status tells about: one that is on, else one that is there.
fn shown(view: &HostView) -> Option<&OwnFile> {
    let on = view.own.iter().find(|own| own.active.is_some());
    on.or_else(|| view.own.first())
}
