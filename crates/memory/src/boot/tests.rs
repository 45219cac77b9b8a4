//! The boot configuration on fixture trees.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::swap::SwapPath;

const FSTAB: &str = "# a comment\n/dev/sda1 / ext4 defaults 0 1\n/other/swap none swap sw 0 0\n";
const BUSYBOX: &str =
    "::sysinit:/etc/init.d/rcS\n::sysinit:/sbin/swapon -a\nttyS0::respawn:/sbin/getty\n";
const SYSV: &str = "id:2:initdefault:\nsi::sysinit:/etc/init.d/rcS\nl0:0:wait:/etc/init.d/rc 0\n";

fn tree(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn slots(paths: &[&str]) -> Vec<Slot> {
    paths
        .iter()
        .flat_map(|path| SwapPath::parse(path).unwrap().slots())
        .collect()
}

fn entry(file: &Slot, priority: Option<u16>) -> BootEntry {
    BootEntry {
        file: file.clone(),
        priority,
    }
}

#[test]
fn manager_is_what_the_host_boots_with() {
    let cases: [(&[(&str, &str)], BootManager); 5] = [
        (
            &[("run/systemd/system/x", ""), ("etc/inittab", BUSYBOX)],
            BootManager::Systemd,
        ),
        (
            &[("etc/inittab", BUSYBOX), ("etc/fstab", FSTAB)],
            BootManager::Inittab,
        ),
        (
            &[("etc/inittab", SYSV), ("etc/fstab", FSTAB)],
            BootManager::Fstab,
        ),
        (&[("etc/inittab", "# nothing\n")], BootManager::Fstab),
        (&[], BootManager::Fstab),
    ];
    for (files, manager) in cases {
        let root = tree(files);
        assert_eq!(Boot::new(root.path()).manager(), manager, "{files:?}");
    }
}

#[test]
fn fstab_gets_one_line_and_loses_it_again() {
    let root = tree(&[("etc/fstab", FSTAB)]);
    let fstab = root.path().join("etc/fstab");
    fs::set_permissions(&fstab, fs::Permissions::from_mode(0o640)).unwrap();
    let boot = Boot::new(root.path());
    let ours = slots(&["/data/my swap"]);
    boot.set(&ours, Some(&entry(&ours[0], Some(7)))).unwrap();
    assert_eq!(
        fs::read_to_string(&fstab).unwrap(),
        format!("{FSTAB}/data/my\\040swap none swap sw,pri=7,nofail,x-kinglet 0 0\n")
    );
    assert_eq!(
        fs::metadata(&fstab).unwrap().permissions().mode() & 0o777,
        0o640
    );
    let found = boot.entries(&ours).unwrap();
    assert_eq!(found, [(BootManager::Fstab, entry(&ours[0], Some(7)))]);
    boot.set(&ours, Some(&entry(&ours[1], None))).unwrap();
    assert_eq!(
        boot.entries(&ours).unwrap(),
        [(BootManager::Fstab, entry(&ours[1], None))]
    );
    boot.set(&ours, None).unwrap();
    assert_eq!(fs::read_to_string(&fstab).unwrap(), FSTAB);
}

#[test]
fn systemd_unit_is_escaped_and_enabled() {
    let root = tree(&[("run/systemd/system/x", ""), ("etc/fstab", FSTAB)]);
    let boot = Boot::new(root.path());
    let ours = slots(&["/data/a-b/swap 100%"]);
    boot.set(&ours, Some(&entry(&ours[0], Some(3)))).unwrap();
    let name = "data-a\\x2db-swap\\x20100\\x25.swap";
    let unit = fs::read_to_string(root.path().join(systemd::UNITS).join(name)).unwrap();
    assert!(
        unit.contains("What=/data/a-b/swap 100%%\nPriority=3\n"),
        "{unit}"
    );
    let link = fs::read_link(root.path().join(systemd::WANTS).join(name)).unwrap();
    assert_eq!(link, Path::new("/etc/systemd/system").join(name));
    assert_eq!(
        boot.entries(&ours).unwrap(),
        [(BootManager::Systemd, entry(&ours[0], Some(3)))]
    );
    // A move: one unit less, one more.
    boot.set(&ours, Some(&entry(&ours[1], None))).unwrap();
    assert_eq!(
        boot.entries(&ours).unwrap(),
        [(BootManager::Systemd, entry(&ours[1], None))]
    );
    boot.set(&ours, None).unwrap();
    assert_eq!(
        fs::read_dir(root.path().join(systemd::WANTS))
            .unwrap()
            .count(),
        0
    );
    assert_eq!(
        fs::read_to_string(root.path().join("etc/fstab")).unwrap(),
        FSTAB
    );
}

#[test]
fn unit_names_are_those_of_systemd_escape() {
    for (path, name) in [
        ("/swapfile", "swapfile.swap"),
        ("/.hidden/x", "\\x2ehidden-x.swap"),
        ("/a/.b/c.2", "a-.b-c.2.swap"),
        ("/größe", "gr\\xc3\\xb6\\xc3\\x9fe.swap"),
    ] {
        assert_eq!(systemd::unit_name(path), name);
    }
}

#[test]
fn inittab_line_is_busyboxs_and_knows_no_quotes() {
    let root = tree(&[("etc/inittab", BUSYBOX), ("usr/sbin/swapon", "")]);
    let boot = Boot::new(root.path());
    let ours = slots(&["/data/swapfile", "/data/my swap"]);
    boot.set(&ours, Some(&entry(&ours[1], Some(5)))).unwrap();
    let inittab = root.path().join("etc/inittab");
    assert_eq!(
        fs::read_to_string(&inittab).unwrap(),
        format!("{BUSYBOX}::sysinit:/usr/sbin/swapon /data/swapfile.2\n")
    );
    let refused = boot.set(&ours, Some(&entry(&ours[2], None)));
    assert!(matches!(refused, Err(BootError::Unwritable(_))));
    boot.set(&ours, None).unwrap();
    assert_eq!(fs::read_to_string(&inittab).unwrap(), BUSYBOX);
}

#[test]
fn host_that_changed_its_way_of_booting_keeps_one_entry() {
    let root = tree(&[("etc/fstab", FSTAB)]);
    let boot = Boot::new(root.path());
    let ours = slots(&["/swapfile"]);
    boot.set(&ours, Some(&entry(&ours[0], None))).unwrap();
    fs::create_dir_all(root.path().join("run/systemd/system")).unwrap();
    boot.set(&ours, Some(&entry(&ours[0], None))).unwrap();
    assert_eq!(
        boot.entries(&ours).unwrap(),
        [(BootManager::Systemd, entry(&ours[0], None))]
    );
    assert_eq!(
        fs::read_to_string(root.path().join("etc/fstab")).unwrap(),
        FSTAB
    );
}

#[test]
fn boot_file_that_is_a_link_is_not_replaced() {
    let root = tree(&[("store/fstab", FSTAB), ("etc/x", "")]);
    symlink("../store/fstab", root.path().join("etc/fstab")).unwrap();
    let ours = slots(&["/swapfile"]);
    let error = Boot::new(root.path()).set(&ours, Some(&entry(&ours[0], None)));
    assert!(matches!(error, Err(BootError::Io { .. })));
    assert_eq!(
        fs::read_to_string(root.path().join("store/fstab")).unwrap(),
        FSTAB
    );
}

#[test]
fn openwrt_is_left_alone() {
    let root = tree(&[("etc/inittab", BUSYBOX), ("sbin/procd", "")]);
    let boot = Boot::new(root.path());
    let ours = slots(&["/swapfile"]);
    let refused = boot.set(&ours, Some(&entry(&ours[0], None)));
    assert!(matches!(refused, Err(BootError::Procd)));
    boot.set(&ours, None).unwrap();
    let inittab = fs::read_to_string(root.path().join("etc/inittab")).unwrap();
    assert_eq!(inittab, BUSYBOX);
}

#[test]
fn sweep_takes_only_temporary_files() {
    let root = tree(&[("etc/fstab", FSTAB), ("etc/.kinglet-swap-1.tmp", "x")]);
    Boot::new(root.path()).sweep();
    let names: Vec<_> = fs::read_dir(root.path().join("etc")).unwrap().collect();
    assert_eq!(names.len(), 1);
}

/// Lines that people write, some of them about swap, none of them ours.
fn foreign() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just(b"/dev/sda1 / ext4 defaults 0 1".to_vec()),
        Just(b"/other none swap sw,pri=3 0 0".to_vec()),
        Just(b"#/data/swapfile none swap sw 0 0".to_vec()),
        Just(b"/data/swapfile /mnt ext4 loop 0 0".to_vec()),
        Just(b"::sysinit:/sbin/swapon -a".to_vec()),
        Just(b"::sysinit:/sbin/swapon /data/swapfile2".to_vec()),
        Just(b"".to_vec()),
        proptest::collection::vec(any::<u8>().prop_filter("line", |b| *b != b'\n'), 0..20),
    ];
    (proptest::collection::vec(line, 0..6), any::<bool>()).prop_map(|(lines, ended)| {
        let mut text = lines.join(b"\n".as_slice());
        if ended && !text.is_empty() {
            text.push(b'\n');
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is switched on, resized, moved and switched off: at most one entry, and every foreign
    /// byte as it was.
    #[test]
    fn any_history_leaves_one_entry_and_foreign_bytes(
        text in foreign(),
        busybox: bool,
        history in proptest::collection::vec(proptest::option::of((0usize..4, proptest::option::of(0u16..100))), 1..12),
    ) {
        let table = if busybox { Table::Inittab } else { Table::Fstab };
        let ours = slots(&["/data/swapfile", "/mnt/s"]);
        let mut now = text.clone();
        for wanted in history {
            let entry = wanted.map(|(slot, priority)| {
                entry(&ours[slot], priority.filter(|_| !busybox))
            });
            let line = entry.as_ref().map(|entry| lines::line(table, entry, "/sbin/swapon"));
            now = lines::edit(table, &now, &ours, line.as_deref());
            let found = lines::entries(table, &now, &ours);
            prop_assert_eq!(found, entry.into_iter().collect::<Vec<_>>());
            let rest = lines::edit(table, &now, &ours, None);
            prop_assert_eq!(&rest, &text);
        }
    }
}
