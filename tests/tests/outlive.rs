//! VMs outlive the daemon, and files outlive what happens to them under a VM.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use kinglet_tests::{Console, Daemon, disks, guests, until};

/// Puts the tiny guest's kernel and initramfs in the folder, and an empty disk.
fn library(daemon: &Daemon) -> Result<()> {
    let guest = guests::tiny()?;
    fs::copy(guest.join("vmlinuz"), daemon.images().join("vmlinuz"))?;
    fs::copy(guest.join("initrd.img"), daemon.images().join("initrd.img"))?;
    disks::qcow2(&daemon.scratch().join("disk.qcow2"), 1 << 20, 16 << 20)?;
    fs::rename(
        daemon.scratch().join("disk.qcow2"),
        daemon.images().join("disk.qcow2"),
    )?;
    for name in ["vmlinuz", "initrd", "disk"] {
        daemon.image_in(name, "ready")?;
    }
    Ok(())
}

fn run_tiny(daemon: &Daemon, name: &str) -> Result<()> {
    daemon.ok([
        "run",
        "disk",
        "--name",
        name,
        "--memory",
        "128M",
        "--kernel",
        "vmlinuz",
        "--initrd",
        "initrd",
        "--cmdline",
        "console=ttyS0 quiet",
        "--detach",
    ])?;
    daemon.vm_in(name, "running")?;
    Ok(())
}

#[test]
fn a_vm_runs_on_while_the_daemon_is_dead_and_is_found_again() -> Result<()> {
    let mut daemon = Daemon::start()?;
    library(&daemon)?;
    run_tiny(&daemon, "tiny")?;
    let mut console = Console::attach(&daemon, "tiny")?;
    console.expect("kinglet-tiny ready")?;
    console.line("x=still-here; echo set $x")?;
    console.expect("set still-here")?;
    let before = daemon.vm_processes()?;
    ensure!(before.len() == 1, "{before:?}");
    drop(console);

    for _ in 0..3 {
        daemon.kill()?;
        ensure!(
            daemon.vm_processes()? == before,
            "the VM went with the daemon"
        );
        daemon.launch()?;
        daemon.vm_in("tiny", "running")?;
        ensure!(daemon.vm_processes()? == before, "lost or doubled");
    }
    let mut console = Console::attach(&daemon, "tiny")?;
    console.line("echo it is $x")?;
    console.expect("it is still-here")?;

    // It ends while nobody watches: the daemon that comes back knows how.
    daemon.kill()?;
    drop(console);
    let pid = i32::try_from(before[0])?;
    let pid = rustix::process::Pid::from_raw(pid).context("no process number")?;
    rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
    until("the process to be gone", || {
        Ok(daemon.vm_processes()?.is_empty().then_some(()))
    })?;
    daemon.launch()?;
    let vm = daemon.vm_in("tiny", "failed")?;
    ensure!(vm["status"]["exit"]["cause"] == "engine-died", "{vm:#}");
    daemon.ok(["vm", "start", "tiny"])?;
    daemon.vm_in("tiny", "running")?;
    ensure!(daemon.vm_processes()?.len() == 1);
    Ok(())
}

#[test]
fn what_happens_to_the_file_does_not_happen_to_the_vm() -> Result<()> {
    let daemon = Daemon::start()?;
    library(&daemon)?;
    let file = daemon.images().join("disk.qcow2");
    let head = first_bytes(&file, daemon.scratch())?;
    run_tiny(&daemon, "tiny")?;
    let mut console = Console::attach(&daemon, "tiny")?;
    console.expect("kinglet-tiny ready")?;

    fs::remove_file(&file)?;
    let image = daemon.image_in("disk", "missing")?;
    ensure!(
        image["status"]["users"].to_string().contains("tiny"),
        "{image:#}"
    );

    // Neither now nor after a restart from nothing does the VM see anything but its disk.
    console.line("echo sum $(head -c 65536 /dev/vda | sha256sum)")?;
    console.expect(&format!("sum {head}"))?;
    daemon.ok(["vm", "kill", "tiny"])?;
    daemon.vm_in("tiny", "stopped")?;
    drop(console);
    daemon.ok(["vm", "start", "tiny"])?;
    daemon.vm_in("tiny", "running")?;
    let mut console = Console::attach(&daemon, "tiny")?;
    console.expect("kinglet-tiny ready")?;
    console.line("echo sum $(head -c 65536 /dev/vda | sha256sum)")?;
    console.expect(&format!("sum {head}"))?;
    Ok(())
}

/// SHA-256 of the first 64 KiB that a guest with this disk sees.
fn first_bytes(image: &Path, scratch: &Path) -> Result<String> {
    let raw = scratch.join("plain.raw");
    let arguments = ["convert".as_ref(), "-O".as_ref(), "raw".as_ref()];
    disks::run(
        "qemu-img",
        arguments
            .into_iter()
            .chain([image.as_os_str(), raw.as_os_str()]),
    )?;
    let bytes = fs::read(&raw)?;
    fs::write(&raw, &bytes[..65536])?;
    let sum = disks::run("sha256sum", [&raw])?;
    Ok(sum.split(' ').next().context("no sum")?.to_owned())
}
