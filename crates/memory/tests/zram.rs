//! zram on this machine's own kernel. One test, since all of it works on the one zram. Needs root.

#![allow(clippy::unwrap_used, clippy::panic)]

mod ground;

use std::process::Command;

use ground::{active, of_the_machine, ok};
use kinglet_memory::proc::ActiveSwap;
use kinglet_memory::zram::{ZramError, ZramKeeper};
use kinglet_model::Size;
use kinglet_model::memory::ZramSpec;

/// Takes Kinglet's device away, also on a panic.
struct Guard(ZramKeeper);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.reconcile(&ZramSpec::default());
    }
}

fn devices() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir("/sys/block")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("zram"))
        .collect();
    names.sort();
    names
}

fn on() -> Vec<ActiveSwap> {
    active()
        .into_iter()
        .filter(|swap| swap.path.starts_with("/dev/"))
        .collect()
}

#[test]
fn zram_is_on_changed_and_off() {
    let keeper = ZramKeeper::of_host();
    let guard = Guard(keeper.clone());
    let (before, machine) = (devices(), of_the_machine());
    let spec = ZramSpec {
        enabled: true,
        size: Size::mib(16),
        ..ZramSpec::default()
    };
    keeper.reconcile(&spec).unwrap();
    keeper.reconcile(&spec).unwrap();
    let status = keeper.status().unwrap();
    assert!(status.supported && status.active);
    assert_eq!((status.size, status.priority), (Size::mib(16), Some(100)));
    assert!(
        status
            .algorithms
            .contains(status.algorithm.as_ref().unwrap())
    );
    assert!(!status.write_back.unwrap().allowed);
    assert_eq!(devices().len(), before.len() + 1);

    let other = status
        .algorithms
        .iter()
        .find(|name| Some(*name) != status.algorithm.as_ref());
    let changed = ZramSpec {
        algorithm: other.cloned(),
        size: Size::mib(8),
        priority: Some(7),
        ..spec
    };
    keeper.reconcile(&changed).unwrap();
    let status = keeper.status().unwrap();
    assert_eq!((status.size, status.priority), (Size::mib(8), Some(7)));
    assert_eq!(status.algorithm.as_ref(), other);
    assert_eq!(devices().len(), before.len() + 1);

    for (bad, words) in [
        (
            ZramSpec {
                size: Size(0),
                ..spec.clone()
            },
            "at least 1 MiB",
        ),
        (
            ZramSpec {
                size: Size::gib(1 << 20),
                ..spec.clone()
            },
            "twice this host's memory",
        ),
        (
            ZramSpec {
                algorithm: Some("magic".to_owned()),
                ..spec
            },
            "no algorithm \"magic\"",
        ),
        (
            ZramSpec {
                priority: Some(40000),
                ..spec
            },
            "32767",
        ),
    ] {
        let told = keeper.reconcile(&bad).unwrap_err();
        assert!(!matches!(told, ZramError::Io { .. }));
        assert!(told.to_string().contains(words), "{told}");
    }
    assert_eq!(on().len(), 1);

    // As after a crash between the header and swapon.
    ok(Command::new("swapoff").arg(&on()[0].path));
    assert!(!keeper.status().unwrap().active);
    keeper.reconcile(&changed).unwrap();
    assert!(keeper.status().unwrap().active);
    assert_eq!(devices().len(), before.len() + 1);

    let held = std::fs::File::open("/sys/class/zram-control").unwrap();
    held.lock().unwrap();
    let told = keeper.reconcile(&ZramSpec::default()).unwrap_err();
    assert!(matches!(told, ZramError::Busy), "{told}");
    drop(held);
    drop(guard);
    assert_eq!(
        (devices(), on(), of_the_machine()),
        (before, vec![], machine)
    );
}
