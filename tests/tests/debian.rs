//! The main job with a real guest: Debian with systemd boots to a login, on virtio devices only.

use std::fs;
use std::net::TcpListener;

use anyhow::{Context, Result, ensure};
use kinglet_tests::{Console, Daemon, disks, guests, until};

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

#[test]
fn a_debian_disk_becomes_a_running_vm_on_virtio_only() -> Result<()> {
    let daemon = Daemon::start()?;
    let guest = guests::debian()?;
    fs::copy(
        guest.join("debian-12.qcow2"),
        daemon.images().join("debian-12.qcow2"),
    )?;
    daemon.image_in("debian-12", "ready")?;
    let port = free_port()?;
    daemon.ok([
        "run",
        "debian-12",
        "--name",
        "web-1",
        "--memory",
        "512M",
        "--publish",
        &format!("{port}:22"),
        "--detach",
    ])?;
    let vm = daemon.vm_in("web-1", "running")?;
    ensure!(
        !vm["status"]["engine"]["why"].to_string().is_empty(),
        "{vm:#}"
    );
    let kvm = vm["status"]["engine"]["accelerator"] == "kvm";
    ensure!(vm["status"]["engine"]["isolation"] == if kvm { "hardware" } else { "none" });

    let mut console = Console::attach(&daemon, "web-1")?;
    console.log_in()?;
    ensure!(
        console
            .run("systemctl is-system-running --wait; uname -s")?
            .ends_with("Linux")
    );
    devices_are_virtio(&mut console)?;
    ensure!(guests::ssh_banner(port)?.starts_with("SSH-2.0-OpenSSH"));

    // What the guest writes is in its overlay; the image is what it was.
    let before = disks::run("sha256sum", [daemon.images().join("debian-12.qcow2")])?;
    console.run("echo kept > /root/note; sync")?;
    let after = disks::run("sha256sum", [daemon.images().join("debian-12.qcow2")])?;
    ensure!(before == after, "the image changed under its VM");
    drop(console);

    // The image is needed: its deletion is refused, and says by whom.
    let outcome = daemon.cli(["image", "rm", "debian-12"])?;
    ensure!(
        outcome.code == 3 && outcome.stderr.contains("web-1"),
        "{outcome:?}"
    );

    daemon.ok(["vm", "stop", "web-1"])?;
    let vm = daemon.vm_in("web-1", "stopped")?;
    ensure!(
        vm["status"]["exit"]["cause"] == "stopped",
        "not by itself: {vm:#}"
    );
    ensure!(daemon.vm_processes()?.is_empty());
    daemon.ok(["vm", "rm", "web-1", "--yes"])?;
    until("the VM to be gone", || {
        Ok(daemon.vm("web-1")?.is_none().then_some(()))
    })?;
    daemon.ok(["image", "rm", "debian-12", "--yes"])?;
    ensure!(!daemon.images().join("debian-12.qcow2").exists());
    Ok(())
}

/// By what the guest itself sees: every disk, network, console, balloon and entropy source is virtio,
/// and none has an emulated twin.
fn devices_are_virtio(console: &mut Console) -> Result<()> {
    let bus = console.run("cat /sys/bus/virtio/devices/*/modalias")?;
    // Device numbers of the virtio specification, section 5.
    for (kind, number) in [
        ("net", 1),
        ("block", 2),
        ("console", 3),
        ("entropy", 4),
        ("balloon", 5),
    ] {
        let alias = format!("virtio:d{number:08X}v");
        ensure!(bus.contains(&alias), "no virtio {kind} among:\n{bus}");
    }
    let devices = console.run("lspci -n | awk '{print $2, $3}'")?;
    for line in devices.lines() {
        let (class, id) = line.split_once(' ').context("not a line of lspci")?;
        let transfers = ["01", "02", "03", "0780"]
            .iter()
            .any(|prefix| class.starts_with(prefix));
        // 1af4 is the vendor of virtio devices. The chipset's AHCI controller is part of q35 itself:
        // with nothing attached it is no disk.
        let chipset = id.starts_with("8086:2922");
        ensure!(
            !transfers || id.starts_with("1af4:") || chipset,
            "emulated: {line} in\n{devices}"
        );
    }
    let disks = console.run("for d in /sys/block/[shv]d*; do readlink -f $d; done")?;
    ensure!(
        disks.lines().all(|disk| disk.contains("/virtio")),
        "not virtio: {disks}"
    );
    let nets = console.run("readlink -f /sys/class/net/e*/device/driver")?;
    ensure!(
        nets.lines().all(|net| net.ends_with("virtio_net")),
        "not virtio: {nets}"
    );
    Ok(())
}

#[test]
fn cloud_init_makes_the_user_and_takes_the_key() -> Result<()> {
    let daemon = Daemon::start()?;
    let guest = guests::debian()?;
    fs::copy(
        guest.join("debian-12.qcow2"),
        daemon.images().join("debian-12.qcow2"),
    )?;
    daemon.image_in("debian-12", "ready")?;
    let key = daemon.scratch().join("key");
    disks::run(
        "ssh-keygen",
        [
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-f",
            &key.to_string_lossy(),
        ],
    )?;
    let port = free_port()?;
    daemon.ok([
        "run",
        "debian-12",
        "--name",
        "seeded",
        "--memory",
        "512M",
        "--publish",
        &format!("{port}:22"),
        "--user",
        "ada",
        "--ssh-key",
        &daemon.scratch().join("key.pub").to_string_lossy(),
        "--detach",
    ])?;
    daemon.vm_in("seeded", "running")?;
    guests::ssh_banner(port)?;
    let seen = until("cloud-init to let the user in", || {
        let output = std::process::Command::new("ssh")
            .args([
                "-F",
                "none",
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
            ])
            .args([
                "-o",
                "BatchMode=yes",
                "-o",
                "LogLevel=ERROR",
                "-o",
                "ConnectTimeout=20",
            ])
            .arg("-i")
            .arg(&key)
            .args([
                "-p",
                &port.to_string(),
                "ada@127.0.0.1",
                "hostname; sudo -n id -u; whoami",
            ])
            .output()?;
        Ok(output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
    })?;
    ensure!(seen == "seeded\n0\nada\n", "{seen:?}");
    Ok(())
}
