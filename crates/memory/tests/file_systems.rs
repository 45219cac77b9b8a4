//! Swap files on the file systems of the field, each mounted from a file. Needs root.

#![allow(clippy::unwrap_used, clippy::panic)]

mod ground;

use std::fs;
use std::process::Command;

use ground::{Ground, none, ok, wanted};
use kinglet_memory::swap::{Refusal, SwapError};

fn works_on(mkfs: &[&str], options: &str) {
    let mut ground = Ground::new();
    ground.mount_made_by(mkfs, options);
    let keeper = ground.keeper();
    for spec in [wanted(16), wanted(24), wanted(16)] {
        keeper.reconcile(&spec).unwrap();
        let active = ground.active();
        assert_eq!(active.len(), 1, "{mkfs:?}");
        assert_eq!(active[0].size.0 + 4096, spec.size.0);
    }
    keeper.reconcile(&none()).unwrap();
    assert_eq!((ground.active(), ground.files()), (vec![], vec![]));
    ground.unmount();
}

#[test]
fn ext4_holds_swap() {
    works_on(&["mkfs.ext4", "-q"], "loop");
}

#[test]
fn ext3_without_preallocation_holds_swap() {
    works_on(&["mkfs.ext3", "-q"], "loop");
}

#[test]
fn xfs_holds_swap() {
    works_on(&["mkfs.xfs", "-q"], "loop");
}

#[test]
fn btrfs_that_compresses_holds_swap() {
    works_on(&["mkfs.btrfs", "-q"], "loop,compress-force=zstd");
}

#[test]
fn btrfs_folder_that_is_compressed_holds_swap() {
    let mut ground = Ground::new();
    ground.mount_made_by(&["mkfs.btrfs", "-q"], "loop");
    ok(Command::new("chattr").args(["+c", &ground.at("data")]));
    ground.keeper().reconcile(&wanted(16)).unwrap();
    assert_eq!(ground.active().len(), 1);
    ground.keeper().reconcile(&none()).unwrap();
    ground.unmount();
}

fn refused(ground: &Ground) -> Refusal {
    let error = ground.keeper().reconcile(&wanted(16)).unwrap_err();
    let SwapError::Refused(refusal) = error else {
        panic!("not a refusal: {error}")
    };
    assert_eq!(ground.active(), []);
    assert!(!fs::exists(ground.at("state/swap-places")).unwrap());
    refusal
}

#[test]
fn tmpfs_and_overlay_are_refused() {
    let mut ground = Ground::new();
    ground.mount(&["-t", "tmpfs", "-o", "size=400m", "none"]);
    assert!(
        refused(&ground)
            .to_string()
            .contains("tmpfs, which cannot hold a swap file: it is itself")
    );
    ground.unmount();
    for folder in ["upper", "work", "lower"] {
        fs::create_dir(ground.at(folder)).unwrap();
    }
    let [lower, upper, work] = ["lower", "upper", "work"].map(|folder| ground.at(folder));
    let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
    ground.mount(&["-t", "overlay", "-o", &options, "none"]);
    assert!(refused(&ground).to_string().contains("overlayfs"));
    ground.unmount();
}

#[test]
fn btrfs_of_two_disks_is_refused() {
    let mut ground = Ground::new();
    let images = ["one", "two"].map(|name| ground.at(name));
    let loops: Vec<Loop> = images.iter().map(|image| Loop::new(image)).collect();
    ok(Command::new("mkfs.btrfs").args(["-q", "-d", "single", &loops[0].0, &loops[1].0]));
    ground.mount(&[&loops[0].0]);
    let told = refused(&ground);
    assert_eq!(told.code(), "swap-many-devices");
    assert!(told.to_string().contains("2 disks"), "{told}");
    ground.unmount();
}

/// Nothing tells beforehand that its blocks are kept twice: the kernel refuses, and all is taken back.
#[test]
fn btrfs_that_keeps_data_twice_leaves_nothing_behind() {
    let mut ground = Ground::new();
    ground.mount_made_by(&["mkfs.btrfs", "-q", "-d", "dup", "-m", "dup"], "loop");
    let error = ground.keeper().reconcile(&wanted(16)).unwrap_err();
    let told = error.to_string();
    assert!(matches!(error, SwapError::Failed { .. }));
    assert!(
        told.contains("the kernel does not take this file as swap"),
        "{told}"
    );
    assert!(told.ends_with("Everything is as it was before."), "{told}");
    assert_eq!((ground.active(), ground.files()), (vec![], vec![]));
    assert_eq!(ground.fstab(), ground::FSTAB);
    assert!(ground.keeper().plan(&none()).unwrap().is_empty());
    ground.unmount();
}

#[test]
fn small_disk_keeps_its_reserve() {
    let mut ground = Ground::new();
    ground.mount_made_by(&["mkfs.ext4", "-q"], "loop");
    let error = ground.keeper().reconcile(&wanted(590)).unwrap_err();
    let SwapError::Refused(Refusal::NoRoom { reserve, most, .. }) = error else {
        panic!("not for want of room: {error}")
    };
    assert_eq!(reserve.0, 128 << 20);
    let largest = kinglet_model::memory::SwapSpec {
        size: most,
        ..wanted(1)
    };
    ground.keeper().reconcile(&largest).unwrap();
    let told = ground
        .keeper()
        .reconcile(&wanted(100))
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("the old swap file stays until the new one is on"),
        "{told}"
    );
    assert_eq!(ground.active().len(), 1);
    ground.keeper().reconcile(&none()).unwrap();
    ground.unmount();
}

#[test]
fn read_only_disk_is_refused() {
    let mut ground = Ground::new();
    ground.mount_made_by(&["mkfs.ext4", "-q"], "loop");
    ok(Command::new("mount").args(["-o", "remount,ro", &ground.at("data")]));
    assert!(refused(&ground).to_string().contains("mounted read-only"));
    ground.unmount();
}

/// A loop device that goes with the test.
struct Loop(String);

impl Loop {
    fn new(image: &str) -> Self {
        fs::File::create(image).unwrap().set_len(300 << 20).unwrap();
        let name = ground::said(Command::new("losetup").args(["-f", "--show", image]));
        Self(name.trim().to_owned())
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["-d", &self.0]).status();
    }
}
