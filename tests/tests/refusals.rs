//! Bad input, each with a clear error and nothing changed.

use std::fs;
use std::net::TcpListener;

use anyhow::{Result, ensure};
use kinglet_tests::{Daemon, Outcome, disks};

fn ready(daemon: &Daemon) -> Result<()> {
    disks::qcow2(&daemon.scratch().join("disk.qcow2"), 1 << 20, 16 << 20)?;
    fs::rename(
        daemon.scratch().join("disk.qcow2"),
        daemon.images().join("disk.qcow2"),
    )?;
    daemon.image_in("disk", "ready")?;
    Ok(())
}

/// Tries to make a VM, and makes sure that none is there afterwards.
fn refused(daemon: &Daemon, arguments: &[&str]) -> Result<Outcome> {
    let before = daemon.json(["vm", "ls"])?;
    let outcome = daemon.cli([&["run", "disk", "--detach"], arguments].concat())?;
    ensure!(outcome.code != 0, "{arguments:?} was accepted: {outcome:?}");
    ensure!(
        outcome.stdout.is_empty(),
        "an error on standard output: {outcome:?}"
    );
    ensure!(!outcome.stderr.contains("panicked"), "{outcome:?}");
    ensure!(
        daemon.json(["vm", "ls"])? == before,
        "{arguments:?} left something"
    );
    Ok(outcome)
}

#[test]
fn a_spec_that_cannot_be_is_refused_in_words() -> Result<()> {
    let daemon = Daemon::start()?;
    ready(&daemon)?;
    for name in [
        "../etc/passwd",
        "a\u{7}b",
        "Ünix",
        "-x",
        "",
        &"a".repeat(64),
    ] {
        let outcome = refused(&daemon, &["--name", name])?;
        ensure!(
            outcome.code == 1 || outcome.code == 2,
            "{name:?}: {outcome:?}"
        );
    }
    let outcome = refused(&daemon, &["--memory", "1TiB"])?;
    ensure!(outcome.stderr.contains("1 TiB"), "{outcome:?}");
    let outcome = refused(&daemon, &["--memory", "1X"])?;
    ensure!(
        outcome.code == 2 && outcome.stderr.contains("1X"),
        "{outcome:?}"
    );
    refused(&daemon, &["--cpus", "0"])?;
    refused(&daemon, &["--publish", "99999:22"])?;
    refused(&daemon, &["--disk-size", "1M"])?;
    let outcome = daemon.cli(["run", "nothing-like-it", "--detach"])?;
    ensure!(outcome.code == 4, "{outcome:?}");
    Ok(())
}

#[test]
fn a_name_or_a_port_that_is_taken_is_refused_and_named() -> Result<()> {
    let daemon = Daemon::start()?;
    ready(&daemon)?;
    daemon.ok(["vm", "create", "disk", "--name", "one"])?;
    let outcome = refused(&daemon, &["--name", "one"])?;
    ensure!(
        outcome.code == 3 && outcome.stderr.contains("one"),
        "{outcome:?}"
    );

    let taken = TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    let outcome = daemon.cli([
        "run",
        "disk",
        "--detach",
        "--name",
        "two",
        "--publish",
        &format!("{port}:22"),
    ])?;
    ensure!(
        outcome.code != 0 && outcome.stderr.contains(&port.to_string()),
        "{outcome:?}"
    );
    ensure!(daemon.vm_processes()?.is_empty());
    Ok(())
}

#[test]
fn a_corrupt_database_stops_the_start_and_is_left_as_it_is() -> Result<()> {
    let mut daemon = Daemon::start()?;
    ready(&daemon)?;
    daemon.kill()?;
    let database = daemon.data().join("registry.db");
    for side in ["-wal", "-shm"] {
        let _ = fs::remove_file(daemon.data().join(format!("registry.db{side}")));
    }
    let garbage = vec![0x5a; 65536];
    fs::write(&database, &garbage)?;
    daemon.spawn()?;
    let (code, log) = daemon.wait_for_end()?;
    ensure!(code == 1, "ended with {code}:\n{log}");
    ensure!(
        log.contains("registry.db") && log.contains("registry.backup.db"),
        "{log}"
    );
    ensure!(fs::read(&database)? == garbage, "it was overwritten");
    Ok(())
}

#[test]
fn a_data_folder_serves_one_daemon_at_a_time() -> Result<()> {
    let daemon = Daemon::start()?;
    let output = daemon
        .command()
        .arg("serve")
        .arg("--data")
        .arg(daemon.data())
        .args(["--listen", "127.0.0.1:0"])
        .env("KINGLET_SOCKET", daemon.scratch().join("other.sock"))
        .output()?;
    ensure!(output.status.code() == Some(1), "{output:?}");
    daemon.ok(["vm", "ls"])?;
    Ok(())
}

#[test]
fn a_missing_daemon_is_exit_code_five() -> Result<()> {
    let mut daemon = Daemon::start()?;
    daemon.kill()?;
    let outcome = daemon.cli(["image", "ls"])?;
    ensure!(
        outcome.code == 5 && outcome.stderr.contains("kinglet serve"),
        "{outcome:?}"
    );
    Ok(())
}
