//! Pictures of every page of a real daemon with a real guest: light, dark, and as wide as a phone.

use anyhow::{Context, Result};
use kinglet_tests::{Console, Daemon, disks};

use crate::build::{self, Profile};
use crate::guest;
use crate::setup::{self, Purpose};
use crate::test::npm;

/// Makes the pictures under target/screenshots and prints that folder.
pub fn run() -> Result<()> {
    setup::ensure(Purpose::Screenshots)?;
    let program = build::kinglet(Profile::Dev)?;
    let disk = guest::debian()?.disk();
    let daemon = Daemon::start_program(program)?;
    furnish(&daemon, &disk)?;
    let folder = build::target().join("screenshots");
    std::fs::create_dir_all(&folder)?;
    let url = daemon.ok(["web"])?;
    npm(
        &["run", "screenshots"],
        &[
            ("KINGLET_URL", url.trim().as_ref()),
            ("KINGLET_IMAGES", daemon.images().as_os_str()),
            ("KINGLET_SHOTS", folder.as_os_str()),
        ],
    )?;
    println!("{}", folder.display());
    Ok(())
}

/// Something of everything: a running VM at its login, a stopped one, a damaged image, a small disk.
fn furnish(daemon: &Daemon, disk: &std::path::Path) -> Result<()> {
    std::fs::copy(disk, daemon.images().join("debian-12.qcow2"))?;
    disks::qcow2(&daemon.scratch().join("data.qcow2"), 2 << 20, 4 << 30)?;
    let bytes = std::fs::read(daemon.scratch().join("data.qcow2"))?;
    std::fs::write(daemon.images().join("scratch-disk.qcow2"), &bytes)?;
    let half = bytes.get(..bytes.len() / 2).context("an empty disk")?;
    std::fs::write(daemon.images().join("broken-off.qcow2"), half)?;
    daemon.image_in("debian-12", "ready")?;
    daemon.image_in("scratch-disk", "ready")?;
    daemon.ok([
        "vm",
        "create",
        "scratch-disk",
        "--name",
        "build-2",
        "--memory",
        "256M",
    ])?;
    daemon.ok([
        "run",
        "debian-12",
        "--name",
        "web-1",
        "--memory",
        "512M",
        "--detach",
    ])?;
    Console::attach(daemon, "web-1")?.expect("login: ")?;
    Ok(())
}
