//! What is done to come from what is to what is wanted. Pure: every refusal is decided here, before
//! anything is written.

use std::collections::BTreeSet;

use kinglet_model::Size;
use kinglet_model::memory::SwapSpec;

use super::view::{HostView, Kind, OwnFile};
use super::wanted::{State, Wanted};
use super::{Refusal, Slot, SwapPath};
use crate::boot::BootEntry;

/// The steps, in order. Each can be undone until the first file is removed, which comes after all
/// that can fail for want of something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwapPlan {
    /// What is done.
    pub steps: Vec<Step>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Record which places hold files of ours, so that a crash leaves none that is not known.
    Record(Vec<SwapPath>),
    /// Make the file, whole, under its name.
    Create {
        /// Where.
        slot: Slot,
        /// How large, a multiple of the page size.
        size: Size,
        /// What it lies on.
        kind: Kind,
    },
    /// Have the kernel swap to it.
    On {
        /// The file.
        slot: Slot,
        /// Its priority.
        priority: Option<u16>,
    },
    /// Have the host boot with this entry only, or with none.
    Boot(Option<BootEntry>),
    /// Have the kernel no longer swap to it.
    Off {
        /// The file.
        slot: Slot,
        /// Its priority, to undo the step.
        priority: Option<u16>,
    },
    /// Remove the file.
    Remove(Slot),
}

impl SwapPlan {
    /// Decides what is done to bring the host to `spec`.
    ///
    /// # Errors
    /// Why it is not done. The host is as it was.
    pub fn make(spec: &SwapSpec, view: &HostView) -> Result<Self, Refusal> {
        if !spec.enabled && is_clean(view) {
            return Ok(Self { steps: Vec::new() });
        }
        if !view.kernel_has_swap {
            return Err(Refusal::NoKernelSupport);
        }
        if !view.permitted {
            return Err(Refusal::NotPermitted);
        }
        let wanted = spec.enabled.then(|| Wanted::of(spec, view)).transpose()?;
        let plan = Self {
            steps: steps(wanted.as_ref(), view),
        };
        plan.check_off(view)?;
        Ok(plan)
    }

    /// Whether nothing needs doing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// What goes off must fit elsewhere: in memory, and in swap that is not ours or newly on.
    fn check_off(&self, view: &HostView) -> Result<(), Refusal> {
        let off: Vec<&OwnFile> = self
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::Off { slot, .. } => view.own.iter().find(|own| own.slot == *slot),
                _ => None,
            })
            .collect();
        let used = total(off.iter().filter_map(|own| Some(own.active.as_ref()?.used)));
        let elsewhere = self.swap_that_stays(view);
        let margin = Size((view.memory_total.0 / 20).max(16 << 20));
        let memory = view.memory_available.0.saturating_sub(margin.0);
        let room = Size(memory.saturating_add(elsewhere.0));
        match off.first() {
            Some(own) if used > room => Err(Refusal::WouldNotFit {
                path: own.slot.to_string(),
                used,
                room,
                available: view.memory_available,
                margin,
                elsewhere,
                lacking: Size(used.0 - room.0),
            }),
            _ => Ok(()),
        }
    }

    fn swap_that_stays(&self, view: &HostView) -> Size {
        let goes_off = |own: &&OwnFile| {
            let off = |step: &Step| matches!(step, Step::Off { slot, .. } if *slot == own.slot);
            self.steps.iter().any(off)
        };
        let stays = view.own.iter().filter(|own| !goes_off(own));
        let ours = stays.filter_map(|own| Some(own.active.as_ref()?.free()));
        let comes = self.steps.iter().map(|step| match step {
            Step::Create { size, .. } => *size,
            _ => Size(0),
        });
        let others = view.others.iter().map(crate::proc::ActiveSwap::free);
        total(ours.chain(comes).chain(others))
    }
}

fn total(sizes: impl Iterator<Item = Size>) -> Size {
    Size(sizes.fold(0, |sum: u64, size| sum.saturating_add(size.0)))
}

fn is_clean(view: &HostView) -> bool {
    view.own.is_empty() && view.boot.is_empty() && view.recorded.is_empty()
}

fn steps(wanted: Option<&Wanted>, view: &HostView) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(wanted) = wanted {
        rise(&mut steps, wanted, view);
    }
    let entry = wanted
        .filter(|wanted| wanted.persistent)
        .map(|wanted| BootEntry {
            file: wanted.slot.clone(),
            priority: wanted.priority.filter(|_| view.boot_keeps_priority),
        });
    // The old entry names the old file until the new one is on, and the new one before the old file
    // goes: at every moment the host boots with a file that exists.
    if view.boot != entry.iter().cloned().collect::<Vec<_>>() {
        steps.push(Step::Boot(entry));
    }
    fall(&mut steps, wanted, view);
    steps
}

/// What brings the wanted file on.
fn rise(steps: &mut Vec<Step>, wanted: &Wanted, view: &HostView) {
    let mut places: BTreeSet<SwapPath> = view.recorded.iter().cloned().collect();
    if places.insert(wanted.place.path.clone()) {
        steps.push(Step::Record(places.into_iter().collect()));
    }
    if wanted.state == State::Absent {
        // Only with both names taken, and then by a file that is off and of no use.
        let in_the_way = view.own.iter().filter(|own| own.slot == wanted.slot);
        for own in in_the_way {
            if own.active.is_some() {
                steps.push(off(own));
            }
            steps.push(Step::Remove(own.slot.clone()));
        }
        steps.push(Step::Create {
            slot: wanted.slot.clone(),
            size: wanted.size,
            kind: wanted.kind,
        });
    }
    if wanted.state == State::Idle {
        let own = view.own.iter().filter(|own| own.slot == wanted.slot);
        steps.extend(own.map(off));
    }
    if wanted.state != State::On {
        steps.push(Step::On {
            slot: wanted.slot.clone(),
            priority: wanted.priority,
        });
    }
}

/// What takes the others away.
fn fall(steps: &mut Vec<Step>, wanted: Option<&Wanted>, view: &HostView) {
    let kept = wanted.map(|wanted| &wanted.slot);
    let rest = || view.own.iter().filter(|own| Some(&own.slot) != kept);
    steps.extend(rest().filter(|own| own.active.is_some()).map(off));
    steps.extend(rest().map(|own| Step::Remove(own.slot.clone())));
    let place: Vec<SwapPath> = wanted
        .iter()
        .map(|wanted| wanted.place.path.clone())
        .collect();
    let recorded = steps.iter().any(|step| matches!(step, Step::Record(_)));
    let goes = view.recorded.iter().any(|path| !place.contains(path));
    if goes && (recorded || view.recorded != place) {
        steps.push(Step::Record(place));
    }
}

fn off(own: &OwnFile) -> Step {
    let priority = own
        .active
        .as_ref()
        .and_then(|active| u16::try_from(active.priority).ok());
    Step::Off {
        slot: own.slot.clone(),
        priority,
    }
}
