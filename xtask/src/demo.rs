//! The main job, shown: from an empty machine to a Debian guest at its login, then the page.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kinglet_tests::{Console, Daemon, disks, guests, until};

use crate::build::{self, Profile};
use crate::guest;
use crate::setup::{self, Purpose};

/// Kinglet's usual port.
const PORT: u16 = 7480;
/// The guest's door on the host, as in the README.
const SSH: u16 = 2222;
/// The demo's VM.
const VM: &str = "demo";

/// Runs the demo. With `once` it checks each step, cleans up and returns; else it stays until Ctrl-C.
pub fn run(once: bool) -> Result<()> {
    let mut steps = Steps::default();
    steps.take("install what is missing", || setup::ensure(Purpose::Demo))?;
    let program = steps.take("build Kinglet and its page", || {
        build::kinglet(Profile::Dev)
    })?;
    let guest = steps.take("make the Debian guest (cached)", guest::debian)?;

    // Held from here on: Ctrl-C ends the wait below, not this program, so that all is cleaned up.
    let mut interrupts = signal_hook::iterator::Signals::new([
        signal_hook::consts::SIGINT,
        signal_hook::consts::SIGTERM,
    ])?;
    let mut daemon = Daemon::prepare(program.clone(), free_address(PORT)?)?;
    steps.take("start the daemon", || daemon.launch())?;
    steps.take("copy the image into the folder", || {
        copy(&daemon, &guest.disk())
    })?;
    steps.take("check it: arriving → ready", || {
        daemon.image_in("debian-12", "ready")
    })?;
    let ssh = free_address(SSH)?.port();
    steps.take("create and start the VM", || start(&daemon, ssh))?;
    let mut console = Console::attach(&daemon, VM)?;
    steps.take("boot Debian to its login", || console.expect("login: "))?;
    if once {
        steps.take("log in and look at its devices", || {
            look_inside(&mut console)
        })?;
        steps.take("reach its published port", || guests::ssh_banner(ssh))?;
        drop(console);
        steps.take("shut it down", || {
            daemon.ok(["vm", "stop", VM])?;
            daemon.vm_in(VM, "stopped")
        })?;
        steps.take("delete it and its image", || clean(&daemon))?;
        steps.print();
        println!("\nEverything works.");
        return Ok(());
    }
    drop(console);
    steps.print();
    introduce(&daemon, &program, ssh)?;
    let _ = interrupts.forever().next();
    eprintln!("\nThe demo ends: its VM and its data folder go with it.");
    Ok(())
}

/// What took how long.
#[derive(Default)]
struct Steps(Vec<(&'static str, Duration)>);

impl Steps {
    fn take<T>(&mut self, name: &'static str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        eprintln!("demo: {name}");
        let start = Instant::now();
        let result = step().with_context(|| format!("the demo failed at: {name}"))?;
        self.0.push((name, start.elapsed()));
        Ok(result)
    }

    fn print(&self) {
        println!("\n{:>9}   what", "seconds");
        for (name, time) in &self.0 {
            println!("{:>9.2}   {name}", time.as_secs_f64());
        }
    }
}

/// Copies as `scp` does: the final name from the first byte on, a piece at a time.
fn copy(daemon: &Daemon, disk: &std::path::Path) -> Result<()> {
    let mut seen = false;
    disks::copy_slowly(disk, &daemon.images().join("debian-12.qcow2"), 40, |_| {
        if !seen {
            seen = daemon
                .image("debian-12")?
                .is_some_and(|it| it["status"]["phase"] == "arriving");
        }
        Ok(())
    })?;
    ensure!(seen, "the image did not show while it was being copied");
    Ok(())
}

fn start(daemon: &Daemon, ssh: u16) -> Result<()> {
    let publish = format!("{ssh}:22");
    let sizes = ["--memory", "512M", "--publish", &publish];
    daemon.ok([&["run", "debian-12", "--name", VM, "--detach"][..], &sizes].concat())?;
    daemon.vm_in(VM, "running")?;
    Ok(())
}

fn look_inside(console: &mut Console) -> Result<()> {
    console.sign_in()?;
    let devices = console.run("ls /sys/bus/virtio/devices | wc -l")?;
    ensure!(
        devices.parse::<u32>().is_ok_and(|count| count >= 5),
        "virtio devices: {devices}"
    );
    Ok(())
}

fn clean(daemon: &Daemon) -> Result<()> {
    daemon.ok(["vm", "rm", VM, "--yes"])?;
    until("the VM to be gone", || {
        Ok(daemon.vm(VM)?.is_none().then_some(()))
    })?;
    daemon.ok(["image", "rm", "debian-12", "--yes"])?;
    ensure!(daemon.vm_processes()?.is_empty(), "a VM process is left");
    Ok(())
}

fn introduce(daemon: &Daemon, program: &std::path::Path, ssh: u16) -> Result<()> {
    let url = daemon.ok(["web"])?;
    let folder: PathBuf = program
        .parent()
        .context("a program has a folder")?
        .to_owned();
    println!(
        "
The page (the link signs in once):

    {}

In another terminal:

    export KINGLET_SOCKET={} PATH={}:$PATH
    kinglet image ls
    kinglet vm ls
    kinglet vm console {VM}      # user root, password kinglet; Ctrl-] leaves
    kinglet run debian-12 --memory 512M --publish 2200:22
    cp some-disk.qcow2 {}/   # shows at once
    ssh -p {ssh} root@127.0.0.1  # asks for a key: this guest takes no passwords

Ctrl-C here ends the demo and removes what it made.",
        url.trim(),
        daemon.socket().display(),
        folder.display(),
        daemon.images().display(),
    );
    Ok(())
}

/// Loopback at `port`, or at any free one where that is taken.
fn free_address(port: u16) -> Result<SocketAddr> {
    let wanted = TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let listener = wanted.or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
    Ok(listener.local_addr()?)
}
