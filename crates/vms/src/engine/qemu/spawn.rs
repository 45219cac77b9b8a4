//! Starting a QEMU process: an array of arguments, an empty environment, three descriptors.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use command_fds::{CommandFdExt, FdMapping};
use kinglet_host::Qemu;
use kinglet_host::firmware::Ovmf;

use super::args::{self, LOCK_FD, Plan, QMP_FD, TAP_FD};
use super::socket::{self, QMP};
use crate::engine::{EngineError, Launch};
use crate::folder::Folder;

/// Starts it; returns its number. The process inherits the lock; this program's copy is closed.
pub(super) fn spawn(
    qemu: &Qemu,
    ovmf: Option<&Ovmf>,
    sandbox: bool,
    launch: Launch<'_>,
) -> Result<u32, EngineError> {
    let folder = launch.folder;
    let plan = Plan {
        vm: launch.vm,
        folder,
        accelerator: launch.chosen.accelerator,
        uefi: ovmf.filter(|_| folder.uefi_vars().exists()),
        has_device: &|name| qemu.has_device(name),
        vsock: launch
            .vm
            .status
            .vsock_cid
            .filter(|_| qemu.has_device("vhost-vsock-pci")),
        sandbox,
        halted: launch.halted,
    };
    let arguments = args::arguments(&plan);
    let log = engine_log(folder).map_err(host("open the engine's log"))?;
    let said = log.try_clone().map_err(host("open the engine's log"))?;
    let descriptors = descriptors(folder, launch.lock, launch.tap)?;
    let mut command = Command::new(&qemu.path);
    command
        .args(arguments)
        .env_clear()
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(said)
        .stderr(log)
        .process_group(0);
    command
        .fd_mappings(descriptors)
        .map_err(|_| host("hand descriptors to QEMU")(io::ErrorKind::InvalidInput.into()))?;
    // Not waited for here: its end is seen, and its status read, through a descriptor of it.
    let child = command.spawn().map_err(host("start QEMU"))?;
    Ok(child.id())
}

fn descriptors(
    folder: &Folder,
    lock: File,
    tap: Option<File>,
) -> Result<Vec<FdMapping>, EngineError> {
    let control = socket::listen(folder.sockets(), QMP).map_err(host("make a socket"))?;
    folder
        .make_console_pipe()
        .map_err(host("make the console's pipe"))?;
    let mut all: Vec<(OwnedFd, i32)> = vec![(lock.into(), LOCK_FD), (control.into(), QMP_FD)];
    all.extend(tap.map(|tap| (tap.into(), TAP_FD)));
    Ok(all
        .into_iter()
        .map(|(parent_fd, child_fd)| FdMapping {
            parent_fd,
            child_fd,
        })
        .collect())
}

fn engine_log(folder: &Folder) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(folder.engine_log())
}

fn host(what: &'static str) -> impl Fn(io::Error) -> EngineError {
    move |source| EngineError::Host { what, source }
}
