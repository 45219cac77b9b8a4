//! What is done to come from what is to what is wanted. Pure: every refusal is decided here, before
//! anything is written.

use std::collections::BTreeSet;

use kinglet_model::Size;
use kinglet_model::memory::SwapSpec;

use super::view::{FileSystem, HostView, Kind, OwnFile, Place};
use super::{Refusal, Slot, SwapPath};
use crate::boot::BootEntry;

/// The smallest swap file.
pub const LEAST: Size = Size::mib(1);
/// The highest priority that the kernel takes.
const HIGHEST_PRIORITY: u16 = 32767;

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

/// The swap file that shall be, with everything about it found possible.
struct Wanted {
    place: Place,
    kind: Kind,
    size: Size,
    priority: Option<u16>,
    persistent: bool,
    /// The file that is kept, or the name that the new one gets.
    slot: Slot,
    /// Whether the file is there already, and whether it is on.
    state: State,
}

#[derive(PartialEq, Eq)]
enum State {
    Absent,
    There,
    On,
}

impl Wanted {
    fn of(spec: &SwapSpec, view: &HostView) -> Result<Self, Refusal> {
        let size = whole_pages(spec.size, view.page_size)?;
        if let Some(priority) = spec
            .priority
            .filter(|priority| *priority > HIGHEST_PRIORITY)
        {
            return Err(Refusal::Priority(priority));
        }
        let place = possible_place(view)?;
        let kind = fit(&place)?;
        if let Some(fault) = view.boot_fault.as_ref().filter(|_| spec.persistent) {
            return Err(Refusal::Boot(fault.clone()));
        }
        let (slot, state) = choose(&place, size, spec.priority, view);
        if state == State::Absent {
            check_room(&place, size, view)?;
        }
        Ok(Self {
            kind,
            size,
            priority: spec.priority,
            persistent: spec.persistent,
            slot,
            state,
            place,
        })
    }
}

fn whole_pages(asked: Size, page_size: u64) -> Result<Size, Refusal> {
    if asked.0 == 0 {
        return Err(Refusal::NoSize);
    }
    // Room for the header and nine pages, the kernel's own least, whatever the page size.
    let least = Size(LEAST.0.max(page_size.saturating_mul(10)));
    if asked < least {
        return Err(Refusal::TooSmall { asked, least });
    }
    let most = Size(page_size.saturating_mul(1 << 32));
    if asked > most {
        return Err(Refusal::TooLarge { asked, most });
    }
    Ok(Size(asked.0 - asked.0 % page_size.max(1)))
}

fn possible_place(view: &HostView) -> Result<Place, Refusal> {
    let place = match &view.place {
        Some(Ok(place)) => place.clone(),
        Some(Err(refusal)) => return Err(refusal.clone()),
        None => {
            return Err(Refusal::Place {
                path: "/".into(),
                why: "no path was given, and there is no default".to_owned(),
            });
        }
    };
    match place.foreign.first() {
        Some((slot, what)) => Err(Refusal::Occupied {
            path: slot.to_string(),
            what: what.clone(),
        }),
        None => Ok(place),
    }
}

fn fit(place: &Place) -> Result<Kind, Refusal> {
    match &place.file_system {
        FileSystem::Fit(Kind::Btrfs) if place.devices > 1 => Err(Refusal::ManyDevices {
            path: place.folder(),
            devices: place.devices,
        }),
        FileSystem::Fit(kind) => Ok(*kind),
        FileSystem::Unfit { name, why } => Err(Refusal::FileSystem {
            path: place.folder(),
            kind: name.clone(),
            why,
        }),
    }
}

/// The file at the place that is already as wanted, one that is on first; else a free name.
fn choose(place: &Place, size: Size, priority: Option<u16>, view: &HostView) -> (Slot, State) {
    let slots = place.path.slots();
    let own = |slot: &Slot| view.own.iter().find(|own| own.slot == *slot);
    let whole = |own: &&OwnFile| own.is_whole(size, view.page_size);
    let at_place = || slots.iter().filter_map(own).filter(whole);
    let keeps_priority = |own: &&OwnFile| {
        own.active.as_ref().is_some_and(|active| {
            priority.is_none_or(|priority| active.priority == i32::from(priority))
                && (priority.is_some() || active.priority < 0)
        })
    };
    if let Some(own) = at_place().find(keeps_priority) {
        return (own.slot.clone(), State::On);
    }
    if let Some(own) = at_place().find(|own| own.active.is_none()) {
        return (own.slot.clone(), State::There);
    }
    let inactive = |slot: &&Slot| own(slot).is_none_or(|own| own.active.is_none());
    let free = slots.iter().find(|slot| own(slot).is_none());
    let slot = free
        .or_else(|| slots.iter().find(inactive))
        .unwrap_or(&slots[0]);
    (slot.clone(), State::Absent)
}

fn check_room(place: &Place, asked: Size, view: &HostView) -> Result<(), Refusal> {
    let reserve = place.reserve();
    let most = Size(place.free.0.saturating_sub(reserve.0));
    if asked <= most {
        return Ok(());
    }
    Err(Refusal::NoRoom {
        asked,
        folder: place.folder(),
        free: place.free,
        total: place.total,
        reserve,
        most: Size(most.0 - most.0 % view.page_size.max(1)),
        beside: view
            .own
            .iter()
            .any(|own| own.slot.folder() == place.folder()),
    })
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
            priority: wanted.priority,
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
