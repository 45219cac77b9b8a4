//! The swap file that is wanted, with everything about it found possible. Pure.

use kinglet_model::Size;
use kinglet_model::memory::SwapSpec;

use super::view::{FileSystem, HostView, Kind, OwnFile, Place};
use super::{Refusal, Slot};

/// The smallest swap file.
pub const LEAST: Size = Size::mib(1);
/// The highest priority that the kernel takes.
const HIGHEST_PRIORITY: u16 = 32767;

/// The swap file that shall be, with everything about it found possible.
pub(super) struct Wanted {
    pub(super) place: Place,
    pub(super) kind: Kind,
    pub(super) size: Size,
    pub(super) priority: Option<u16>,
    pub(super) persistent: bool,
    /// The file that is kept, or the name that the new one gets.
    pub(super) slot: Slot,
    /// Whether the file is there already, and whether it is on.
    pub(super) state: State,
}

#[derive(PartialEq, Eq)]
pub(super) enum State {
    /// To be made.
    Absent,
    /// There, and off.
    There,
    /// On with another priority, and nothing is swapped to it: off and on again costs nothing.
    Idle,
    /// As wanted.
    On,
}

impl Wanted {
    pub(super) fn of(spec: &SwapSpec, view: &HostView) -> Result<Self, Refusal> {
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
    let idle = |own: &&OwnFile| own.active.as_ref().is_some_and(|active| active.used.0 == 0);
    if let Some(own) = at_place().find(idle) {
        return (own.slot.clone(), State::Idle);
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
