//! The program is killed again and again while it starts and stops VMs. Afterwards every VM is as it is
//! wanted, with one process where it is on and none where it is off.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod rig;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use kinglet_model::Vm;
use kinglet_model::image::Format;
use kinglet_model::vm::{Power, VmAction, VmPhase, VmSpec};
use kinglet_registry::{Options, Registry};

use rig::*;

const FOLDER: &str = "KINGLET_TEST_CRASH_FOLDER";
const ROUNDS: u64 = 12;

fn registry(folder: &Path) -> Registry {
    Registry::open(&folder.join("registry.db"), Options::default()).unwrap()
}

/// The program that is killed: not a test of its own, but this file run again by the one below.
#[tokio::test(flavor = "multi_thread")]
async fn program_that_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let registry = registry(&folder);
    let machines = open(&folder, &registry).await;
    println!("\nbegun");
    loop {
        for vm in registry.list_all::<Vm>().await.unwrap().items {
            for action in [VmAction::Start, VmAction::Kill, VmAction::Restart] {
                // What is not possible just now is refused.
                let _ = machines.act(vm.metadata.id, action, None).await;
                tokio::time::sleep(Duration::from_millis(40)).await;
            }
        }
    }
}

fn run_and_kill(folder: &Path, after: Duration) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "program_that_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "begun"));
    // When it is killed is chosen, not waited for.
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_point_no_vm_is_lost_or_doubled() {
    let folder = tempfile::tempdir().unwrap();
    let store = registry(folder.path());
    let mut rig = Rig::on(folder, store).await;
    let image = rig
        .image("disk", Format::Raw, &boot_sector("x", IDLE))
        .await;
    let off = VmSpec {
        power: Power::Off,
        stop_deadline: 0,
        ..from_image(&image)
    };
    for _ in 0..3 {
        rig.create(off.clone()).await;
    }
    rig.machines.shutdown().await;
    rig.registry.close().await;
    for round in 0..ROUNDS {
        run_and_kill(
            rig.folder.path(),
            Duration::from_millis(17 + round * 61 % 433),
        );
    }
    rig.registry = registry(rig.folder.path());
    rig.machines = open(rig.folder.path(), &rig.registry).await;
    for vm in rig.registry.list_all::<Vm>().await.unwrap().items {
        settle(&rig, &vm).await;
    }
    rig.end().await;
}

async fn settle(rig: &Rig, vm: &Vm) {
    let id = vm.metadata.id;
    let vm = rig
        .until(id, "at rest", |vm| match vm.spec.power {
            Power::Off => matches!(vm.status.phase, VmPhase::Stopped),
            _ => {
                matches!(vm.status.phase, VmPhase::Running)
                    && vm.status.restarts_done == vm.spec.restarts
            }
        })
        .await;
    let recorded: Vec<u32> = vm
        .status
        .process
        .iter()
        .map(|process| process.pid)
        .collect();
    assert_eq!(processes_below(&rig.vm_folder(id)), recorded);
}
