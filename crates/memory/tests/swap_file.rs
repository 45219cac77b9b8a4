//! The life of a swap file on this machine's own kernel and disk. Needs root.

#![allow(clippy::unwrap_used, clippy::panic)]

mod ground;

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::sync::Barrier;

use ground::{FSTAB, Ground, none, of_the_machine, said, wanted};
use kinglet_memory::swap::{Refusal, Step, SwapError};
use kinglet_model::Size;
use kinglet_model::memory::{SwapPhase, SwapSpec};

fn refusal(error: SwapError) -> Refusal {
    match error {
        SwapError::Refused(refusal) => refusal,
        other => panic!("not a refusal: {other}"),
    }
}

#[test]
fn swap_file_is_on_and_off_and_leaves_nothing() {
    let ground = Ground::new();
    let machine = of_the_machine();
    let keeper = ground.keeper();
    let status = keeper.status(&none(), |_| None).unwrap();
    assert_eq!(
        (status.phase, status.file_exists, status.active),
        (SwapPhase::Off, false, false)
    );

    let spec = SwapSpec {
        priority: Some(11),
        ..wanted(16)
    };
    keeper.reconcile(&spec).unwrap();
    let status = keeper.status(&spec, |_| None).unwrap();
    assert_eq!(status.phase, SwapPhase::On);
    assert_eq!(
        status.path.as_deref(),
        Some(ground.at("data/swapfile").as_str())
    );
    assert!(status.file_exists && status.active && status.persistent);
    assert_eq!(
        (status.file_size, status.priority),
        (Size::mib(16), Some(11))
    );
    assert_eq!(status.size, Size((16 << 20) - 4096));
    assert_eq!(ground.fstab().lines().count(), 3);
    assert!(keeper.plan(&spec).unwrap().is_empty());
    assert!(keeper.reconcile(&spec).unwrap().is_empty());

    keeper.reconcile(&none()).unwrap();
    assert_eq!(ground.active(), []);
    assert_eq!(ground.files(), ["state/swapfile"; 0]);
    assert_eq!(ground.fstab(), FSTAB);
    assert_eq!(of_the_machine(), machine);
}

#[test]
fn header_is_accepted_by_other_programs() {
    let ground = Ground::new();
    ground.keeper().reconcile(&wanted(4)).unwrap();
    let path = ground.at("data/swapfile");
    let label = said(Command::new("swaplabel").arg(&path));
    assert!(
        label.contains("LABEL: kinglet-swap") && label.contains("UUID:"),
        "{label}"
    );
    let file = said(Command::new("file").args(["-b", &path]));
    assert!(
        file.contains("swap file") && file.contains("1023 pages"),
        "{file}"
    );
    let blkid = said(Command::new("blkid").args(["-p", "-o", "export", &path]));
    assert!(
        blkid.contains("TYPE=swap") && blkid.contains("VERSION=1"),
        "{blkid}"
    );
}

#[test]
fn resize_and_move_keep_swap_on_at_every_step() {
    let ground = Ground::new();
    fs::create_dir(ground.at("elsewhere")).unwrap();
    let keeper = ground.keeper();
    keeper.reconcile(&wanted(4)).unwrap();
    let moved = SwapSpec {
        path: Some(ground.at("elsewhere/swapfile")),
        ..wanted(6)
    };
    let specs = [wanted(8), wanted(2), moved, wanted(4)];
    for spec in specs {
        let mut watched = 0;
        keeper
            .reconcile_watched(&spec, &mut |_| {
                assert!(!ground.active().is_empty(), "no swap is on in {spec:?}");
                watched += 1;
                Ok(())
            })
            .unwrap();
        assert!(watched > 0);
        let active = ground.active();
        assert_eq!(active.len(), 1);
        assert_eq!(active[0].size.0 + 4096, spec.size.0);
        assert_eq!(ground.files().len(), 1, "{:?}", ground.files());
        assert_eq!(ground.fstab().lines().count(), 3, "{}", ground.fstab());
        assert!(ground.fstab().contains(active[0].path.to_str().unwrap()));
    }
}

#[test]
fn failure_at_any_step_leaves_what_was_before() {
    let ground = Ground::new();
    fs::create_dir(ground.at("elsewhere")).unwrap();
    let keeper = ground.keeper();
    // A priority that the kernel chose would be another one when the old file is on again.
    let of = |mib| SwapSpec {
        priority: Some(5),
        ..wanted(mib)
    };
    let moved = SwapSpec {
        path: Some(ground.at("elsewhere/swapfile")),
        ..of(2)
    };
    for (before, after) in [
        (none(), of(2)),
        (of(2), of(4)),
        (of(4), moved),
        (of(4), none()),
    ] {
        keeper.reconcile(&before).unwrap();
        let steps = keeper.plan(&after).unwrap().steps;
        // From the removal of the old file on, what is wanted is done already.
        let reversible = steps
            .iter()
            .take_while(|step| !matches!(step, Step::Remove(_)))
            .count();
        for (failing, step) in steps.iter().enumerate().take(reversible + 1) {
            let seen = (ground.active(), ground.files(), ground.fstab());
            let mut at = 0;
            let error = keeper
                .reconcile_watched(&after, &mut |_| {
                    at += 1;
                    if at > failing {
                        Err(io::Error::other("the test says no"))
                    } else {
                        Ok(())
                    }
                })
                .unwrap_err();
            let told = error.to_string();
            assert!(
                told.contains("the test says no. Everything is as it was"),
                "{told}"
            );
            assert_eq!(
                (ground.active(), ground.files(), ground.fstab()),
                seen,
                "{step:?}"
            );
            assert!(keeper.plan(&before).unwrap().is_empty());
        }
    }
}

#[test]
fn bad_input_is_refused_before_anything_is_written() {
    let ground = Ground::new();
    let at = |path: &str| Some(ground.at(path));
    fs::create_dir(ground.at("data/folder")).unwrap();
    fs::write(ground.at("data/file"), "mine").unwrap();
    fs::File::create(ground.at("data/sparse"))
        .unwrap()
        .set_len(4 << 20)
        .unwrap();
    symlink("/etc", ground.at("data/out")).unwrap();
    symlink("/etc/passwd", ground.at("data/link")).unwrap();
    fs::create_dir(ground.at("open")).unwrap();
    fs::set_permissions(
        ground.at("open"),
        std::os::unix::fs::PermissionsExt::from_mode(0o777),
    )
    .unwrap();
    fs::create_dir(ground.at("users")).unwrap();
    std::os::unix::fs::chown(ground.at("users"), Some(65534), None).unwrap();
    let path = |path: Option<String>| SwapSpec { path, ..wanted(2) };
    let size = |size: u64| SwapSpec {
        size: Size(size),
        ..wanted(2)
    };
    let cases = [
        (size(0), "swap-no-size", "switch it off"),
        (size(4096), "swap-too-small", "the least is 1 MiB"),
        (size(1 << 44), "no-space", "stay reserved"),
        (size(u64::MAX), "swap-too-large", "16 TiB"),
        (
            SwapSpec {
                priority: Some(40000),
                ..wanted(2)
            },
            "swap-priority",
            "32767",
        ),
        (path(at("data/folder")), "swap-occupied", "a directory"),
        (path(at("data/file")), "swap-occupied", "a file"),
        (path(at("data/sparse")), "swap-occupied", "holes"),
        (path(at("data/link")), "swap-occupied", "a symbolic link"),
        (path(at("data/out/swapfile")), "swap-place", "/etc"),
        (path(Some("/dev/null".to_owned())), "swap-place", "/dev"),
        (path(Some("/swapfile".to_owned())), "swap-place", "allowed"),
        (path(at("data/../data/x")), "swap-path", ".."),
        (
            path(Some("relative".to_owned())),
            "swap-path",
            "begin with /",
        ),
        (path(at("no/such/swapfile")), "swap-folder", "Create it"),
        (path(at("open/swapfile")), "swap-place", "everybody"),
        (path(at("users/swapfile")), "swap-place", "an ordinary user"),
    ];
    for (spec, code, words) in cases {
        let told = refusal(ground.keeper().reconcile(&spec).unwrap_err());
        assert_eq!(told.code(), code, "{told}");
        assert!(told.to_string().contains(words), "{told}");
        assert!(told.to_string().ends_with('.'), "{told}");
    }
    assert_eq!(ground.active(), []);
    assert_eq!(ground.fstab(), FSTAB);
    assert!(!fs::exists(ground.at("state/swap-places")).unwrap());
    assert_eq!(fs::read_to_string(ground.at("data/file")).unwrap(), "mine");
}

#[test]
fn two_calls_at_once_make_one_swap_file() {
    let ground = Ground::new();
    let barrier = Barrier::new(2);
    let call = || {
        barrier.wait();
        ground.keeper().reconcile(&wanted(8))
    };
    let results = std::thread::scope(|scope| {
        let other = scope.spawn(call);
        [call(), other.join().unwrap()]
    });
    assert!(results.iter().any(Result::is_ok));
    for error in results.into_iter().filter_map(Result::err) {
        assert_eq!(refusal(error), Refusal::Busy);
    }
    assert_eq!((ground.active().len(), ground.files().len()), (1, 1));
}

#[test]
fn status_while_another_changes_it_says_so() {
    let ground = Ground::new();
    let keeper = ground.keeper();
    let mut phases = Vec::new();
    keeper
        .reconcile_watched(&wanted(2), &mut |_| {
            phases.push(ground.keeper().status(&wanted(2), |_| None).unwrap().phase);
            assert!(matches!(
                ground.keeper().reconcile(&none()),
                Err(SwapError::Refused(Refusal::Busy))
            ));
            Ok(())
        })
        .unwrap();
    assert!(!phases.is_empty() && phases.iter().all(|phase| *phase == SwapPhase::Changing));
}

#[test]
fn looking_never_keeps_anybody_from_changing() {
    let ground = Ground::new();
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                ground.keeper().status(&wanted(2), |_| None).unwrap();
            }
        });
        let changed: Result<Vec<_>, _> = (0..10)
            .flat_map(|_| [wanted(2), none()])
            .map(|spec| ground.keeper().reconcile(&spec))
            .collect();
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        changed.unwrap();
    });
}

#[test]
fn file_that_is_off_is_switched_on_again_as_it_is() {
    let ground = Ground::new();
    let keeper = ground.keeper();
    keeper.reconcile(&wanted(2)).unwrap();
    let uuid = said(Command::new("swaplabel").arg(ground.at("data/swapfile")));
    // As after a reboot of a host whose boot configuration was lost.
    said(Command::new("swapoff").arg(ground.at("data/swapfile")));
    fs::write(ground.at("root/etc/fstab"), FSTAB).unwrap();
    let status = keeper.status(&wanted(2), |_| None).unwrap();
    assert_eq!(status.phase, SwapPhase::Partial);
    assert!(status.file_exists && !status.active && !status.persistent);
    keeper.reconcile(&wanted(2)).unwrap();
    assert_eq!(
        said(Command::new("swaplabel").arg(ground.at("data/swapfile"))),
        uuid
    );
    assert_eq!(
        keeper.status(&wanted(2), |_| None).unwrap().phase,
        SwapPhase::On
    );
}

#[test]
fn swap_of_others_is_shown_and_never_touched() {
    let ground = Ground::new();
    let foreign = ground.at("foreign");
    fs::write(&foreign, vec![0; 2 << 20]).unwrap();
    fs::set_permissions(
        &foreign,
        std::os::unix::fs::PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    said(Command::new("mkswap").arg(&foreign));
    said(Command::new("swapon").arg(&foreign));
    let keeper = ground.keeper();
    for spec in [wanted(2), wanted(4), none()] {
        keeper.reconcile(&spec).unwrap();
        let status = keeper.status(&spec, |_| None).unwrap();
        assert!(status.others.iter().any(|other| other.path == foreign));
    }
    assert_eq!(ground.active().len(), 1);
    let taken = SwapSpec {
        path: Some(foreign),
        ..wanted(2)
    };
    let told = refusal(keeper.reconcile(&taken).unwrap_err());
    assert!(
        told.to_string().contains("somebody else's swap file"),
        "{told}"
    );
}

#[test]
fn swap_file_that_others_could_read_is_not_taken_for_ours() {
    let ground = Ground::new();
    let keeper = ground.keeper();
    keeper.reconcile(&wanted(2)).unwrap();
    let copy = ground.at("data/planted");
    fs::write(&copy, fs::read(ground.at("data/swapfile")).unwrap()).unwrap();
    fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let told = refusal(
        keeper
            .reconcile(&SwapSpec {
                path: Some(copy),
                ..wanted(2)
            })
            .unwrap_err(),
    );
    assert!(told.to_string().contains("other users may read"), "{told}");
}

/// Not a test of its own: what the test below starts without the right to switch swap.
#[test]
#[ignore = "started by another test"]
fn asks_without_the_right() {
    let Some(ground) = std::env::var_os("KINGLET_MEMORY_TEST_GROUND") else {
        return;
    };
    let keeper = ground::keeper(std::path::Path::new(&ground));
    assert_eq!(
        refusal(keeper.reconcile(&wanted(2)).unwrap_err()),
        Refusal::NotPermitted
    );
    let status = keeper.status(&wanted(2), |_| None).unwrap();
    assert_eq!(status.phase, SwapPhase::Unavailable);
    assert!(status.actions.iter().all(|action| !action.allowed));
}

#[test]
fn without_the_right_nothing_is_tried() {
    let ground = Ground::new();
    let tests = std::env::current_exe().unwrap();
    let output = ground::said(
        Command::new("setpriv")
            .args(["--bounding-set=-sys_admin", "--"])
            .arg(tests)
            .args(["--exact", "asks_without_the_right", "--ignored"])
            .env("KINGLET_MEMORY_TEST_GROUND", ground.path()),
    );
    assert!(output.contains("1 passed"), "{output}");
    assert_eq!((ground.active(), ground.files()), (vec![], vec![]));
}

/// The lines that are written, read by the programs that read them at boot.
#[test]
fn entries_are_understood_by_what_boots_a_host() {
    let ground = Ground::new();
    let keeper = ground.keeper();
    let spec = SwapSpec {
        priority: Some(9),
        path: Some(ground.at("data/my swapfile")),
        ..wanted(2)
    };
    keeper.reconcile(&spec).unwrap();
    said(Command::new("swapoff").arg(ground.at("data/my swapfile")));
    // It fails over the other line of the fixture, whose file does not exist.
    let all = Command::new("swapon")
        .arg("-a")
        .env("LIBMOUNT_FSTAB", ground.at("root/etc/fstab"))
        .output()
        .unwrap();
    assert_eq!(ground.active().len(), 1, "{all:?}");
    assert_eq!(ground.active()[0].priority, 9);
    assert_eq!(keeper.status(&spec, |_| None).unwrap().phase, SwapPhase::On);

    fs::write(ground.at("root/etc/inittab"), "::sysinit:/etc/init.d/rcS\n").unwrap();
    let spec = SwapSpec { path: None, ..spec };
    keeper.reconcile(&spec).unwrap();
    assert_eq!(ground.fstab(), FSTAB);
    said(Command::new("swapoff").arg(ground.at("data/swapfile")));
    let inittab = fs::read_to_string(ground.at("root/etc/inittab")).unwrap();
    let command = inittab
        .lines()
        .last()
        .unwrap()
        .splitn(4, ':')
        .last()
        .unwrap();
    let words: Vec<&str> = command.split(' ').collect();
    assert_eq!(words[0], "/sbin/swapon");
    said(Command::new("busybox").arg("swapon").args(&words[1..]));
    assert!(ground.active()[0].priority < 0);
    let status = keeper.status(&spec, |_| None).unwrap();
    assert!(status.active && status.persistent);
    keeper.reconcile(&spec).unwrap();
    assert_eq!((ground.active()[0].priority, ground.files().len()), (9, 1));
    assert_eq!(keeper.status(&spec, |_| None).unwrap().phase, SwapPhase::On);
}
