//! The watched folder as a user sees it: what is copied in shows while it arrives, is judged by its
//! content, and is never offered before it is whole.

use std::fs;

use anyhow::{Context, Result, ensure};
use kinglet_tests::{Daemon, disks};
use serde_json::Value;

fn allowed(image: &Value, action: &str) -> bool {
    image["status"]["actions"].as_array().is_some_and(|all| {
        all.iter()
            .any(|it| it["name"] == action && it["allowed"] == true)
    })
}

#[test]
fn a_slow_copy_is_arriving_until_its_writer_is_gone_then_ready() -> Result<()> {
    let daemon = Daemon::start()?;
    let source = daemon.scratch().join("source.qcow2");
    disks::qcow2(&source, 3 << 20, 64 << 20)?;
    let mut phases = Vec::new();
    disks::copy_slowly(&source, &daemon.images().join("web.qcow2"), 8, |_| {
        if let Some(image) = daemon.image("web")? {
            ensure!(
                !allowed(&image, "create-vm"),
                "offered while it arrives: {image:#}"
            );
            phases.push(
                image["status"]["phase"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            );
        }
        Ok(())
    })?;
    ensure!(
        phases.iter().any(|phase| phase == "arriving"),
        "never seen arriving: {phases:?}"
    );
    ensure!(
        phases.iter().all(|phase| phase == "arriving"),
        "offered too early: {phases:?}"
    );

    let image = daemon.image_in("web", "ready")?;
    ensure!(allowed(&image, "create-vm"), "not offered: {image:#}");
    ensure!(image["status"]["format"] == "qcow2" && image["status"]["virtualSize"] == 64 << 20);
    let sums = disks::run("sha256sum", [&source])?;
    let digest = kinglet_tests::until("the digest", || {
        Ok(daemon
            .image("web")?
            .and_then(|it| it["status"]["sha256"].as_str().map(str::to_owned)))
    })?;
    ensure!(sums.starts_with(&digest), "{digest} is not {sums}");
    Ok(())
}

#[test]
fn a_cut_copy_is_damaged_with_a_reason_and_gives_no_vm() -> Result<()> {
    let daemon = Daemon::start()?;
    let source = daemon.scratch().join("source.qcow2");
    disks::qcow2(&source, 3 << 20, 64 << 20)?;
    let whole = fs::read(&source)?;
    fs::write(daemon.images().join("cut.qcow2"), &whole[..whole.len() / 2])?;
    let image = daemon.image_in("cut", "damaged")?;
    let reason = image["status"]["reason"].as_str().context("no reason")?;
    ensure!(reason.contains("cut short"), "{reason}");
    let outcome = daemon.cli(["run", "cut", "--detach", "--name", "never"])?;
    ensure!(outcome.code == 3, "{outcome:?}");
    ensure!(outcome.stderr.contains("damaged"), "{outcome:?}");
    ensure!(
        daemon.vm("never")?.is_none(),
        "refused, and yet it is there"
    );

    // Copied again, whole this time: the same place is ready without a word to the daemon.
    fs::write(daemon.images().join("cut.qcow2"), &whole)?;
    daemon.image_in("cut", "ready")?;
    Ok(())
}

#[test]
fn an_image_that_names_another_file_is_damaged_and_says_which() -> Result<()> {
    let daemon = Daemon::start()?;
    let secret = daemon.scratch().join("secret.raw");
    fs::write(&secret, vec![7; 1 << 20])?;
    let made = daemon.scratch().join("evil.qcow2");
    disks::run(
        "qemu-img",
        [
            "create".as_ref(),
            "-f".as_ref(),
            "qcow2".as_ref(),
            "-F".as_ref(),
            "raw".as_ref(),
            "-b".as_ref(),
            secret.as_os_str(),
            made.as_os_str(),
        ],
    )?;
    fs::rename(made, daemon.images().join("evil.qcow2"))?;
    let image = daemon.image_in("evil", "damaged")?;
    let reason = image["status"]["reason"].as_str().context("no reason")?;
    ensure!(
        reason.contains("refers to") && reason.contains("secret.raw"),
        "{reason}"
    );
    Ok(())
}

#[test]
fn rsync_makes_one_image_and_a_rename_keeps_it() -> Result<()> {
    let daemon = Daemon::start()?;
    let source = daemon.scratch().join("one.qcow2");
    disks::qcow2(&source, 1 << 20, 8 << 20)?;
    disks::run("rsync", [source.as_os_str(), daemon.images().as_os_str()])?;
    let before = daemon.image_in("one", "ready")?;
    ensure!(daemon.json(["image", "ls"])?.as_array().map(Vec::len) == Some(1));
    fs::create_dir(daemon.images().join("sub"))?;
    fs::rename(
        daemon.images().join("one.qcow2"),
        daemon.images().join("sub/two.qcow2"),
    )?;
    let after = daemon.image_in("two", "ready")?;
    ensure!(
        before["metadata"]["id"] == after["metadata"]["id"],
        "another image: {after:#}"
    );
    ensure!(after["spec"]["path"] == "sub/two.qcow2");
    Ok(())
}

#[test]
fn sums_beside_an_image_are_verified_and_a_wrong_one_is_damage() -> Result<()> {
    let daemon = Daemon::start()?;
    let source = daemon.scratch().join("source.qcow2");
    disks::qcow2(&source, 1 << 20, 8 << 20)?;
    let digest = disks::run("sha256sum", [&source])?;
    let digest = digest.split(' ').next().context("no digest")?;
    fs::write(
        daemon.images().join("SHA256SUMS"),
        format!("{digest}  good.qcow2\n{}  bad.qcow2\n", "0".repeat(64)),
    )?;
    fs::copy(&source, daemon.images().join("good.qcow2"))?;
    fs::copy(&source, daemon.images().join("bad.qcow2"))?;
    let good = daemon.image_in("good", "ready")?;
    ensure!(
        good["status"]["conditions"]
            .to_string()
            .contains("verified"),
        "{good:#}"
    );
    let bad = daemon.image_in("bad", "damaged")?;
    ensure!(
        bad["status"]["reason"].to_string().contains("SHA256SUMS"),
        "{bad:#}"
    );
    ensure!(
        daemon.json(["image", "ls"])?.as_array().map(Vec::len) == Some(2),
        "sums are no image"
    );
    Ok(())
}
