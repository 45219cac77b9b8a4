//! Carrying out a plan, and taking it back where a step fails.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use kinglet_model::Problem;
use kinglet_model::problem::ProblemKind;
use thiserror::Error;

use super::create::create;
use super::look::is_private;
use super::record::Record;
use super::{Refusal, Slot, Step, SwapPath, SwapPlan};
use crate::atomic::is_file;
use crate::boot::{Boot, BootEntry, BootError};
use crate::folder::Folder;
use crate::sys;

/// Why the swap file is not as wanted.
#[derive(Debug, Error)]
pub enum SwapError {
    /// It was not tried.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// A step failed.
    #[error("Could not {step}: {reason}. {after}")]
    Failed {
        /// What was tried.
        step: String,
        /// Why it failed.
        reason: String,
        /// What state that leaves.
        after: String,
    },
    /// The host could not be looked at.
    #[error("Could not {what} {}: {source}.", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The boot configuration could not be looked at.
    #[error("The boot configuration could not be read: {0}.")]
    Boot(#[from] BootError),
}

impl SwapError {
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

impl From<&SwapError> for Problem {
    fn from(error: &SwapError) -> Self {
        match error {
            SwapError::Refused(refusal) => refusal.into(),
            other => Self::new(ProblemKind::Internal, "swap-failed", other.to_string()),
        }
    }
}

/// What a failure after the first old file is gone leaves.
const LEFT_OVER: &str =
    "What was wanted is done; something old is left over, which repair removes.";

/// What the steps work on.
pub(super) struct Hands<'a> {
    pub(super) record: &'a Record,
    pub(super) boot: &'a Boot,
    /// Every file that can be ours, for the boot configuration.
    pub(super) ours: Vec<Slot>,
    pub(super) before: Vec<SwapPath>,
    pub(super) booted: Option<BootEntry>,
}

/// What takes a step back.
enum Undo {
    Record(Vec<SwapPath>),
    Remove(Slot),
    Off(Slot),
    On(Slot, Option<u16>),
    Boot(Option<BootEntry>),
}

/// Carries out the steps in order. `watch` is called before each; what it fails with fails the step.
pub(super) fn run(
    plan: &SwapPlan,
    hands: &Hands<'_>,
    watch: &mut dyn FnMut(&Step) -> io::Result<()>,
) -> Result<(), SwapError> {
    let mut done: Vec<Undo> = Vec::new();
    let mut gone = false;
    for (index, step) in plan.steps.iter().enumerate() {
        match watch(step)
            .map_err(|error| error.to_string())
            .and_then(|()| hands.act(step))
        {
            Ok(undo) => done.extend(undo),
            Err(reason) => {
                let after = if gone {
                    LEFT_OVER.to_owned()
                } else {
                    hands.undo(done)
                };
                let step = step.to_string();
                return Err(SwapError::Failed {
                    step,
                    reason,
                    after,
                });
            }
        }
        if let Step::Remove(slot) = step {
            done.retain(|undo| !undo.needs(slot));
            let rest = &plan.steps[index..];
            gone |= !rest.iter().any(|step| matches!(step, Step::On { .. }));
        }
    }
    Ok(())
}

impl Undo {
    fn needs(&self, file: &Slot) -> bool {
        match self {
            Self::On(slot, _) | Self::Off(slot) | Self::Remove(slot) => slot == file,
            Self::Boot(entry) => entry.as_ref().is_some_and(|entry| entry.file == *file),
            Self::Record(_) => false,
        }
    }
}

impl Hands<'_> {
    fn act(&self, step: &Step) -> Result<Option<Undo>, String> {
        let told = |error: io::Error| error.to_string();
        match step {
            Step::Record(places) => {
                self.record.store(places).map_err(told)?;
                Ok(Some(Undo::Record(self.before.clone())))
            }
            Step::Create { slot, size, kind } => {
                create(slot, *size, *kind, rustix::param::page_size()).map_err(told)?;
                Ok(Some(Undo::Remove(slot.clone())))
            }
            Step::On { slot, priority } => {
                on(slot, *priority).map_err(|error| why_not_on(&error))?;
                Ok(Some(Undo::Off(slot.clone())))
            }
            Step::Boot(entry) => {
                let set = self.boot.set(&self.ours, entry.as_ref());
                // A change that failed half-way is taken back as well.
                set.map_err(|error| {
                    let _ = self.boot.set(&self.ours, self.booted.as_ref());
                    error.to_string()
                })?;
                Ok(Some(Undo::Boot(self.booted.clone())))
            }
            Step::Off { slot, priority } => {
                off(slot).map_err(|error| why_not_off(&error))?;
                Ok(Some(Undo::On(slot.clone(), *priority)))
            }
            Step::Remove(slot) => remove(slot).map_err(told).map(|()| None),
        }
    }

    fn undo(&self, done: Vec<Undo>) -> String {
        let mut faults = Vec::new();
        for undo in done.into_iter().rev() {
            let (what, taken) = match &undo {
                Undo::Record(places) => ("record the places of before", self.record.store(places)),
                Undo::Remove(slot) => ("remove the new file", remove(slot)),
                Undo::Off(slot) => ("switch the new swap file off", off(slot)),
                Undo::On(slot, priority) => ("switch the old swap file on", on(slot, *priority)),
                Undo::Boot(entry) => {
                    let set = self.boot.set(&self.ours, entry.as_ref());
                    ("restore the boot entry", set.map_err(io::Error::other))
                }
            };
            if let Err(error) = taken {
                faults.push(format!("could not {what}: {error}"));
            }
        }
        if faults.is_empty() {
            return "Everything is as it was before.".to_owned();
        }
        let faults = faults.join("; ");
        format!("Taking back what was done did not succeed ({faults}); repair the swap file.")
    }
}

/// What is open is looked at again: whoever may write in a folder above could have put another there.
fn on(slot: &Slot, priority: Option<u16>) -> io::Result<()> {
    let file = Folder::open(&slot.folder())?.read(slot.name())?;
    let stat = rustix::fs::fstat(&file)?;
    if !is_file(stat.st_mode) || !is_private(&stat) {
        return Err(io::Error::other("another file was put in its place"));
    }
    sys::swapon(file.as_fd(), priority)
}

fn off(slot: &Slot) -> io::Result<()> {
    let file = Folder::open(&slot.folder())?.read(slot.name())?;
    sys::swapoff(file.as_fd())
}

fn remove(slot: &Slot) -> io::Result<()> {
    let folder = Folder::open(&slot.folder())?;
    folder.remove(slot.name())?;
    folder.sync()
}

fn why_not_on(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EINVAL) => {
            "the kernel does not take this file as swap; its log (dmesg) says why, often a file system \
             whose blocks can move"
                .to_owned()
        }
        Some(libc::EPERM) => "the kernel does not permit it, or has as much swap as it can count".to_owned(),
        _ => error.to_string(),
    }
}

fn why_not_off(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOMEM) => {
            "what is swapped does not fit in memory now; stop a VM first".to_owned()
        }
        Some(libc::EINTR) => "it was interrupted".to_owned(),
        _ => error.to_string(),
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(_) => write!(f, "record the places of swap files"),
            Self::Create { slot, size, .. } => write!(f, "create the swap file {slot} of {size}"),
            Self::On { slot, .. } => write!(f, "switch on {slot}"),
            Self::Boot(Some(entry)) => write!(f, "have the host boot with {}", entry.file),
            Self::Boot(None) => write!(f, "take the swap file out of the boot configuration"),
            Self::Off { slot, .. } => write!(f, "switch off {slot}"),
            Self::Remove(slot) => write!(f, "remove {slot}"),
        }
    }
}
