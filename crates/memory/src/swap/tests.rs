//! Plans, made for hosts that are only described, and carried out on paper.

use kinglet_model::Size;
use kinglet_model::memory::SwapSpec;
use proptest::prelude::*;

use super::*;
use crate::boot::BootEntry;
use crate::proc::ActiveSwap;

const PAGE: u64 = 4096;

fn path(text: &str) -> SwapPath {
    SwapPath::parse(text).unwrap()
}

fn place(text: &str) -> Place {
    Place {
        path: path(text),
        file_system: FileSystem::Fit(Kind::Ext4),
        free: Size::gib(8),
        total: Size::gib(16),
        devices: 1,
        foreign: Vec::new(),
    }
}

fn host() -> HostView {
    HostView {
        page_size: PAGE,
        memory_total: Size::gib(1),
        memory_available: Size::mib(512),
        kernel_has_swap: true,
        permitted: true,
        place: Some(Ok(place("/data/swapfile"))),
        own: Vec::new(),
        recorded: Vec::new(),
        boot: Vec::new(),
        boot_keeps_priority: true,
        boot_fault: None,
        others: Vec::new(),
    }
}

fn swap(slot: &Slot, size: Size, used: Size, priority: i32) -> ActiveSwap {
    ActiveSwap {
        path: slot.as_path().to_owned(),
        kind: "file".to_owned(),
        size: Size(size.0 - PAGE),
        used,
        priority,
    }
}

fn own(slot: &Slot, size: Size, on: Option<(Size, i32)>) -> OwnFile {
    OwnFile {
        slot: slot.clone(),
        size,
        header: Some(SwapHeader::new(size.0 / PAGE, "kinglet-swap")),
        holes: false,
        active: on.map(|(used, priority)| swap(slot, size, used, priority)),
    }
}

fn wanted(mib: u64) -> SwapSpec {
    SwapSpec {
        enabled: true,
        size: Size::mib(mib),
        persistent: true,
        ..SwapSpec::default()
    }
}

fn told(spec: &SwapSpec, view: &HostView) -> String {
    SwapPlan::make(spec, view).unwrap_err().to_string()
}

#[test]
fn kernel_or_right_that_is_missing_is_said() {
    let view = HostView {
        kernel_has_swap: false,
        ..host()
    };
    assert!(told(&wanted(64), &view).contains("CONFIG_SWAP"));
    let view = HostView {
        permitted: false,
        ..host()
    };
    assert!(told(&wanted(64), &view).contains("CAP_SYS_ADMIN"));
    // Nothing to do needs no right.
    assert!(
        SwapPlan::make(&SwapSpec::default(), &view)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn file_systems_that_cannot_hold_swap_are_named() {
    for (magic, words) in [
        (0x0102_1994, "tmpfs"),
        (0x794c_7630, "overlayfs"),
        (0x6969, "NFS"),
        (0x6573_5546, "FUSE"),
        (0x2011_bab0, "exFAT"),
        (0xdead, "file system 0xdead"),
    ] {
        let file_system = FileSystem::of(magic);
        let view = HostView {
            place: Some(Ok(Place {
                file_system,
                ..place("/data/swapfile")
            })),
            ..host()
        };
        let told = told(&wanted(64), &view);
        assert!(
            told.contains(words) && told.contains("ext4, XFS or Btrfs"),
            "{told}"
        );
    }
}

#[test]
fn switching_off_what_does_not_fit_is_refused_with_the_sum() {
    let slots = path("/data/swapfile").slots();
    let file = own(&slots[0], Size::gib(1), Some((Size::mib(800), -2)));
    let view = HostView {
        place: None,
        own: vec![file],
        recorded: vec![path("/data/swapfile")],
        ..host()
    };
    assert_eq!(
        told(&SwapSpec::default(), &view),
        "Swap cannot be switched off now: 800 MiB are swapped to /data/swapfile, but there is room for \
         460.8 MiB only (512 MiB of memory are available, 51.1 MiB of which stay reserved, and 0 B of \
         other swap are free). It lacks 339.1 MiB: stop a VM first, or add other swap."
    );
    let other = swap(&slots[1], Size::mib(401), Size(0), 5);
    let view = HostView {
        others: vec![other],
        ..view
    };
    assert!(SwapPlan::make(&SwapSpec::default(), &view).is_ok());
}

#[test]
fn resize_counts_the_new_file_as_room() {
    let slots = path("/data/swapfile").slots();
    let file = own(&slots[0], Size::gib(1), Some((Size::mib(800), -2)));
    let view = HostView {
        own: vec![file],
        recorded: vec![path("/data/swapfile")],
        ..host()
    };
    assert!(SwapPlan::make(&wanted(2048), &view).is_ok());
    assert!(told(&wanted(128), &view).starts_with("Swap cannot be switched off"));
}

#[test]
fn path_that_the_boot_cannot_hold_is_refused_only_if_it_shall() {
    let view = HostView {
        boot_fault: Some("no quotes".to_owned()),
        ..host()
    };
    assert!(told(&wanted(64), &view).contains("across reboots: no quotes"));
    let spec = SwapSpec {
        persistent: false,
        ..wanted(64)
    };
    assert!(SwapPlan::make(&spec, &view).is_ok());
}

#[test]
fn steps_of_a_move_are_in_the_safe_order() {
    let old = path("/old/swapfile").slots()[0].clone();
    let view = HostView {
        own: vec![own(&old, Size::mib(64), Some((Size(0), -2)))],
        recorded: vec![path("/old/swapfile")],
        boot: vec![BootEntry {
            file: old,
            priority: None,
        }],
        ..host()
    };
    let plan = SwapPlan::make(&wanted(64), &view).unwrap();
    let steps: Vec<String> = plan.steps.iter().map(Step::to_string).collect();
    assert_eq!(
        steps,
        [
            "record the places of swap files",
            "create the swap file /data/swapfile of 64 MiB",
            "switch on /data/swapfile",
            "have the host boot with /data/swapfile",
            "switch off /old/swapfile",
            "remove /old/swapfile",
            "record the places of swap files",
        ]
    );
}

#[test]
fn file_that_nothing_is_swapped_to_changes_its_priority_in_place() {
    let slot = path("/data/swapfile").slots()[0].clone();
    let view = HostView {
        own: vec![own(&slot, Size::mib(64), Some((Size(0), -2)))],
        recorded: vec![path("/data/swapfile")],
        boot: vec![BootEntry {
            file: slot.clone(),
            priority: None,
        }],
        // As after a boot by BusyBox, whose entry carries no priority.
        boot_keeps_priority: false,
        ..host()
    };
    let spec = SwapSpec {
        priority: Some(9),
        ..wanted(64)
    };
    let plan = SwapPlan::make(&spec, &view).unwrap();
    let off = Step::Off {
        slot: slot.clone(),
        priority: None,
    };
    assert_eq!(
        plan.steps,
        [
            off,
            Step::On {
                slot,
                priority: Some(9)
            }
        ]
    );
}

/// Carries a step out on paper, as the kernel would: refuses what it would refuse.
fn act(view: &mut HostView, step: &Step) {
    match step {
        Step::Record(places) => view.recorded = places.clone(),
        Step::Create { slot, size, .. } => {
            assert!(
                view.own.iter().all(|own| own.slot != *slot),
                "{slot} exists"
            );
            assert!(
                view.recorded
                    .iter()
                    .any(|place| place.slots().contains(slot)),
                "not recorded"
            );
            view.own.push(own(slot, *size, None));
        }
        Step::On { slot, priority } => {
            let own = view.own.iter_mut().find(|own| own.slot == *slot).unwrap();
            assert!(own.active.is_none() && !own.holes);
            let priority = priority.map_or(-2, i32::from);
            own.active = Some(swap(slot, own.size, Size(0), priority));
        }
        Step::Boot(entry) => {
            if let Some(entry) = entry {
                assert!(
                    view.own.iter().any(|own| own.slot == entry.file),
                    "boots with no file"
                );
            }
            view.boot = entry.iter().cloned().collect();
        }
        Step::Off { slot, .. } => {
            let own = view.own.iter_mut().find(|own| own.slot == *slot).unwrap();
            assert!(own.active.take().is_some());
        }
        Step::Remove(slot) => {
            let at = view.own.iter().position(|own| own.slot == *slot).unwrap();
            assert!(
                view.own.remove(at).active.is_none(),
                "the kernel refuses to remove {slot}"
            );
        }
    }
}

/// Any state that files, crashes and people could leave: each of four names with or without a file, on
/// or off, of some size, with holes; any boot entries.
fn any_host() -> impl Strategy<Value = HostView> {
    let slots: Vec<Slot> = ["/data/swapfile", "/old/s"]
        .iter()
        .flat_map(|text| path(text).slots())
        .collect();
    let file = prop_oneof![
        Just(None),
        (1u64..4, any::<bool>(), prop_oneof![Just(-2), Just(7)]).prop_map(Some),
        Just(Some((0, false, 0))),
    ];
    (
        proptest::collection::vec(file, 4),
        proptest::collection::vec(0usize..4, 0..3),
    )
        .prop_map(move |(files, entries)| {
            let mut view = host();
            view.recorded = vec![path("/data/swapfile"), path("/old/s")];
            for (slot, file) in slots.iter().zip(files) {
                let Some((mib, on, priority)) = file else {
                    continue;
                };
                let mut file = own(
                    slot,
                    Size::mib(mib.max(1) * 64),
                    on.then_some((Size::mib(1), priority)),
                );
                file.holes = mib == 0;
                view.own.push(file);
            }
            let entry = |index: usize| BootEntry {
                file: slots[index].clone(),
                priority: None,
            };
            view.boot = entries.into_iter().map(entry).collect();
            view
        })
}

proptest! {
    /// From any state, cut off by a crash after any step and planned again, it comes to what is wanted
    /// by steps that the kernel takes, and never goes without swap on the way where there was some.
    #[test]
    fn any_state_comes_to_what_is_wanted(
        mut view in any_host(),
        enabled: bool,
        persistent: bool,
        mib in 1u64..4,
        priority in prop_oneof![Just(None), Just(Some(7u16))],
        crash in 0usize..10,
    ) {
        let spec = SwapSpec { enabled, persistent, priority, ..wanted(mib * 64) };
        let mut had_swap = view.own.iter().any(|own| own.active.is_some());
        for stop in [crash, usize::MAX] {
            let plan = SwapPlan::make(&spec, &view).unwrap();
            for step in plan.steps.iter().take(stop) {
                act(&mut view, step);
                let has_swap = view.own.iter().any(|own| own.active.is_some());
                prop_assert!(!enabled || !had_swap || has_swap);
                had_swap |= has_swap;
            }
        }
        prop_assert!(SwapPlan::make(&spec, &view).unwrap().is_empty());
        let on: Vec<&OwnFile> = view.own.iter().filter(|own| own.active.is_some()).collect();
        prop_assert_eq!(on.len(), usize::from(enabled));
        prop_assert_eq!(view.own.len(), usize::from(enabled));
        prop_assert_eq!(view.boot.len(), usize::from(enabled && persistent));
        prop_assert_eq!(view.recorded.len(), usize::from(enabled));
        if let [file] = on[..] {
            prop_assert_eq!(file.size, spec.size);
            prop_assert!(view.boot.iter().all(|entry| entry.file == file.slot));
        }
    }
}
