//! `kinglet run` to the guest's login, beside a bare QEMU with the same arguments.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use kinglet_tests::{Console, Daemon, disks, until};
use rustix::fs::{CWD, FileType, Mode};

use super::{Figure, daemon, figure, ratio};

const ROUNDS: usize = 3;

pub fn measure(program: &Path, disk: &Path) -> Result<Vec<Figure>> {
    let mut daemon = daemon(program)?;
    daemon.launch()?;
    fs::copy(disk, daemon.images().join("debian-12.qcow2"))?;
    daemon.image_in("debian-12", "ready")?;
    // The digest is computed in the background; it is not part of a boot.
    until("the digest", || {
        let image = daemon.image("debian-12")?;
        Ok(image.and_then(|it| it["status"]["sha256"].is_string().then_some(())))
    })?;
    let mut pairs = Vec::new();
    for round in 0..ROUNDS {
        let name = format!("boot-{round}");
        let start = Instant::now();
        daemon.ok([
            "run",
            "debian-12",
            "--name",
            &name,
            "--memory",
            "512M",
            "--detach",
        ])?;
        Console::attach(&daemon, &name)?.expect("login: ")?;
        let ours = start.elapsed();
        let arguments = arguments(&daemon)?;
        daemon.ok(["vm", "kill", &name])?;
        daemon.vm_in(&name, "stopped")?;
        daemon.ok(["vm", "rm", &name, "--yes"])?;
        pairs.push((ours, bare(&daemon, disk, &arguments)?));
    }
    Ok(vec![figure(
        "kinglet run → login, beside bare QEMU",
        ratio(&pairs)?,
        "within 1.05",
    )])
}

/// The arguments of the VM's process, as the kernel has them.
fn arguments(daemon: &Daemon) -> Result<Vec<String>> {
    let pid = *daemon.vm_processes()?.first().context("no VM process")?;
    let text = fs::read(format!("/proc/{pid}/cmdline"))?;
    let parts = text
        .split(|byte| *byte == 0)
        .filter(|part| !part.is_empty());
    Ok(parts
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect())
}

/// Boots the same arguments without Kinglet: its own overlay and folder in the places of the VM's.
fn bare(daemon: &Daemon, disk: &Path, arguments: &[String]) -> Result<std::time::Duration> {
    let folder = daemon.scratch().join("bare");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder)?;
    let id = arguments
        .iter()
        .skip_while(|argument| *argument != "-uuid")
        .nth(1)
        .context("the VM has no -uuid")?;
    let own = ["vms", "run/vms"].map(|place| daemon.data().join(place).join(id));
    let overlay = folder.join("root.qcow2");
    let create = ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"].map(str::to_owned);
    let places = [
        disk.to_string_lossy().into_owned(),
        overlay.to_string_lossy().into_owned(),
    ];
    disks::run("qemu-img", create.into_iter().chain(places))?;
    let place = folder.to_string_lossy().into_owned();
    std::os::unix::fs::symlink(disk, folder.join("root.base"))?;
    let console = folder.join("console.in");
    rustix::fs::mknodat(CWD, &console, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    std::os::unix::fs::symlink("/dev/null", folder.join("console.out"))?;
    let replaced = without_control(arguments).into_iter().map(|argument| {
        own.iter().fold(argument, |text, theirs| {
            text.replace(&*theirs.to_string_lossy(), &place)
        })
    });
    let log = fs::File::create(folder.join("stderr"))?;
    let start = Instant::now();
    let child = Command::new(arguments.first().context("no program")?)
        .args(replaced)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()?;
    let mut guest = Guest(child);
    until("the bare guest's login", || {
        if let Some(status) = guest.0.try_wait()? {
            let said = fs::read_to_string(folder.join("stderr"))?;
            ensure!(status.success(), "bare QEMU ended with {status}: {said}");
        }
        let seen = fs::read(folder.join("console.log")).unwrap_or_default();
        Ok(seen.windows(7).any(|part| part == b"login: ").then_some(()))
    })?;
    Ok(start.elapsed())
}

/// The arguments after the program's name, without the control socket, which the daemon hands over as an
/// open descriptor.
fn without_control(arguments: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut rest = arguments.iter().skip(1).peekable();
    while let Some(argument) = rest.next() {
        let control = rest.peek().is_some_and(|value| {
            (argument == "-chardev" && value.contains("id=qmp")) || argument == "-mon"
        });
        if control {
            rest.next();
        } else {
            kept.push(argument.clone());
        }
    }
    kept
}

struct Guest(Child);

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
