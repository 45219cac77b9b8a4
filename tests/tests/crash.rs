//! The daemon is killed at random points while files arrive and VMs start and stop. Afterwards each
//! object is in a legal phase, nothing that was acknowledged is lost, and no VM process is orphaned.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kinglet_model::image::ImagePhase;
use kinglet_model::vm::VmPhase;
use kinglet_tests::{Daemon, Dice, disks, until};
use serde_json::Value;

/// How often the daemon is killed.
const KILLS: usize = 200;

/// What the daemon said yes to.
#[derive(Default)]
struct Acknowledged {
    created: BTreeMap<String, Value>,
    deleted: Vec<String>,
}

#[test]
fn two_hundred_kills_lose_nothing() -> Result<()> {
    let seed = std::env::var("KINGLET_CRASH_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or(0x4b69_6e67);
    rounds(seed).with_context(|| format!("with KINGLET_CRASH_SEED={seed}"))
}

fn rounds(seed: u64) -> Result<()> {
    let mut daemon = Daemon::start()?;
    let source = daemon.scratch().join("source.qcow2");
    disks::qcow2(&source, 1 << 20, 16 << 20)?;
    fs::copy(&source, daemon.images().join("base.qcow2"))?;
    daemon.image_in("base", "ready")?;
    let bytes = fs::read(&source)?;
    let mut dice = Dice::new(seed);
    let mut acknowledged = Acknowledged::default();
    let mut files: BTreeMap<String, bool> = BTreeMap::new();

    for round in 0..KILLS {
        let enough = AtomicBool::new(false);
        let pause = Duration::from_millis(dice.roll(350));
        let name = format!("arrived-{}", round % 12);
        let whole = dice.roll(3) > 0;
        std::thread::scope(|scope| -> Result<()> {
            let copy = scope.spawn(|| {
                let end = if whole { bytes.len() } else { bytes.len() / 2 };
                let path = daemon.images().join(format!("{name}.qcow2"));
                write_in_pieces(&path, &bytes[..end])
            });
            let commands = scope.spawn(|| use_it(&daemon, &mut dice, &mut acknowledged, &enough));
            std::thread::sleep(pause);
            kill(&daemon)?;
            enough.store(true, Ordering::Relaxed);
            copy.join()
                .map_err(|_| anyhow::anyhow!("the copy panicked"))??;
            commands
                .join()
                .map_err(|_| anyhow::anyhow!("the commands panicked"))?
        })?;
        files.insert(name, whole);
        daemon.reap()?;
        daemon
            .launch()
            .with_context(|| format!("after kill {round}"))?;
    }
    judge(&daemon, &files, &acknowledged)
}

fn write_in_pieces(path: &std::path::Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write;
    let mut file = fs::File::create(path)?;
    for piece in bytes.chunks(bytes.len().div_ceil(6)) {
        file.write_all(piece)?;
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn kill(daemon: &Daemon) -> Result<()> {
    let pid = i32::try_from(daemon.pid()?)?;
    let pid = rustix::process::Pid::from_raw(pid).context("no process number")?;
    Ok(rustix::process::kill_process(
        pid,
        rustix::process::Signal::KILL,
    )?)
}

/// Creates, starts, stops and deletes VMs until told to stop, and notes what was acknowledged.
fn use_it(
    daemon: &Daemon,
    dice: &mut Dice,
    acknowledged: &mut Acknowledged,
    enough: &AtomicBool,
) -> Result<()> {
    while !enough.load(Ordering::Relaxed) {
        let name = format!("vm-{}", dice.roll(4));
        match dice.roll(5) {
            0 | 1 => {
                let create = [
                    "--json", "vm", "create", "base", "--name", &name, "--memory", "32M",
                ];
                let outcome = daemon.cli(create)?;
                if outcome.code == 0 {
                    let vm: Value = serde_json::from_str(&outcome.stdout)?;
                    acknowledged
                        .deleted
                        .retain(|id| *id != vm["metadata"]["id"]);
                    acknowledged
                        .created
                        .insert(name, vm["metadata"]["id"].clone());
                }
            }
            2 => drop(daemon.cli(["vm", "start", &name])?),
            3 => drop(daemon.cli(["vm", "kill", &name])?),
            _ => {
                // Taken from the list before the command is sent: if the daemon dies before it answers,
                // the deletion may have happened or not, and both are right.
                let id = acknowledged.created.remove(&name);
                let outcome = daemon.cli(["vm", "rm", &name, "--yes"])?;
                match (outcome.code, id) {
                    (0, Some(id)) => {
                        acknowledged
                            .deleted
                            .push(id.as_str().unwrap_or_default().to_owned());
                    }
                    (3, Some(id)) => drop(acknowledged.created.insert(name, id)),
                    _ => {}
                }
            }
        }
    }
    Ok(())
}

fn judge(
    daemon: &Daemon,
    files: &BTreeMap<String, bool>,
    acknowledged: &Acknowledged,
) -> Result<()> {
    for (name, whole) in files {
        daemon.image_in(name, if *whole { "ready" } else { "damaged" })?;
    }
    let images = daemon.json(["image", "ls"])?;
    let images = images.as_array().context("no list")?.clone();
    ensure!(
        images.len() == files.len() + 1,
        "{} images for {} files",
        images.len(),
        files.len() + 1
    );
    for image in &images {
        let _: ImagePhase = serde_json::from_value(image["status"]["phase"].clone())?;
    }

    // Nothing is on its way any more: every VM has come to rest where its spec wants it.
    let vms = until("every VM to come to rest", || {
        let vms = daemon.json(["vm", "ls"])?;
        let vms = vms.as_array().context("no list")?.clone();
        let resting = vms.iter().all(|vm| {
            matches!(
                vm["status"]["phase"].as_str(),
                Some("running" | "stopped" | "failed")
            )
        });
        Ok(resting.then_some(vms))
    })?;
    let ids: Vec<&Value> = vms.iter().map(|vm| &vm["metadata"]["id"]).collect();
    for (name, id) in &acknowledged.created {
        ensure!(
            ids.contains(&id),
            "VM {name} was acknowledged and is lost: {id}"
        );
    }
    for id in &acknowledged.deleted {
        ensure!(
            !ids.iter().any(|it| *it == id),
            "VM {id} was deleted and is back"
        );
    }
    let mut running = 0;
    for vm in &vms {
        let phase: VmPhase = serde_json::from_value(vm["status"]["phase"].clone())?;
        running += usize::from(phase == VmPhase::Running);
        ensure!(
            phase != VmPhase::Failed,
            "a VM failed: {vm:#}\n{}",
            daemon.log()
        );
    }
    let processes = daemon.vm_processes()?;
    ensure!(
        processes.len() == running,
        "{running} VMs run in {} processes",
        processes.len()
    );
    let folders = fs::read_dir(daemon.data().join("vms"))?.count();
    ensure!(
        folders == vms.len(),
        "{folders} folders for {} VMs",
        vms.len()
    );
    Ok(())
}
