//! A VM's process: telling it from every other, waiting for its end, ending it.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, OnceLock};

use kinglet_model::Id;
use kinglet_model::vm::ProcessIdentity;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use tokio::io::unix::AsyncFd;

use crate::readable::readable;

/// A live process, held by a descriptor that never means another one.
#[derive(Debug, Clone)]
pub struct Process {
    identity: ProcessIdentity,
    pidfd: Arc<AsyncFd<OwnedFd>>,
    /// The kernel tells it once; who records it may have to try again.
    end: Arc<OnceLock<String>>,
}

impl Process {
    /// Takes hold of the process `pid`. Call on a runtime.
    ///
    /// # Errors
    /// `NotFound`-like where it is gone.
    pub fn open(pid: u32, boot_id: &str) -> io::Result<Self> {
        let number = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let number = number.ok_or(io::ErrorKind::InvalidInput)?;
        let pidfd = rustix::process::pidfd_open(number, PidfdFlags::NONBLOCK)
            .or_else(|_| rustix::process::pidfd_open(number, PidfdFlags::empty()))?;
        // Read after the descriptor was opened: if the number had been given to another process
        // before, the caller's checks look at that other one; afterwards it cannot change.
        let start_ticks = start_ticks(pid)?;
        Ok(Self {
            identity: ProcessIdentity {
                pid,
                start_ticks,
                boot_id: boot_id.to_owned(),
            },
            pidfd: Arc::new(readable(pidfd)?),
            end: Arc::default(),
        })
    }

    /// Who it is.
    #[must_use]
    pub const fn identity(&self) -> &ProcessIdentity {
        &self.identity
    }

    /// Waits for its end. Safe to cancel.
    pub async fn ended(&self) {
        // An error means that the runtime is going away: then nobody waits any more.
        let _ = self.pidfd.readable().await;
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        use rustix::event::{PollFd, PollFlags, poll};
        let mut fds = [PollFd::new(self.pidfd.get_ref(), PollFlags::IN)];
        let now = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
    }

    /// How it ended, in words: only for children of this program.
    #[must_use]
    pub fn reap(&self) -> Option<String> {
        if let Some(end) = self.end.get() {
            return Some(end.clone());
        }
        let end = self.wait_status()?;
        Some(self.end.get_or_init(|| end).clone())
    }

    fn wait_status(&self) -> Option<String> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
        let id = WaitId::PidFd(self.pidfd.get_ref().as_fd());
        let status = rustix::process::waitid(id, options).ok()??;
        if let Some(signal) = status.terminating_signal() {
            return Some(format!("killed by signal {signal}"));
        }
        status
            .exit_status()
            .map(|code| format!("exit status {code}"))
    }

    /// Kills it at once.
    pub fn kill(&self) {
        // Fails only when it is gone already.
        let _ = rustix::process::pidfd_send_signal(self.pidfd.get_ref(), Signal::KILL);
    }
}

/// The process that holds `lock` and runs the VM `id`, if it has come that far.
///
/// Looks for the arguments `-uuid ID` and then for the lock among its open files, so that neither a
/// process that merely mentions the id nor one that merely has its number is taken for it.
pub(crate) fn holder_of(lock: &File, id: Id) -> io::Result<Option<u32>> {
    let wanted = lock.metadata()?;
    let uuid = id.to_string();
    for entry in fs::read_dir("/proc")? {
        let Ok(entry) = entry else { continue };
        let Some(pid) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        if runs(pid, &uuid) && holds(pid, &wanted) {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

fn runs(pid: u32, uuid: &str) -> bool {
    let Ok(line) = fs::read(format!("/proc/{pid}/cmdline")) else {
        return false;
    };
    let arguments: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
    arguments
        .windows(2)
        .any(|pair| pair[0] == b"-uuid" && pair[1] == uuid.as_bytes())
}

fn holds(pid: u32, wanted: &fs::Metadata) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    files.flatten().any(|file| {
        fs::metadata(file.path())
            .is_ok_and(|found| found.ino() == wanted.ino() && found.dev() == wanted.dev())
    })
}

/// Field 22 of `/proc/PID/stat`. The name in field 2 may hold spaces and parentheses.
fn start_ticks(pid: u32) -> io::Result<u64> {
    stat_field(pid, 22)
}

/// A numeric field of `/proc/PID/stat`, numbered as in proc(5), from 4 on.
pub(crate) fn stat_field(pid: u32, field: usize) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    text.rsplit_once(") ")
        .and_then(|(_, rest)| rest.split(' ').nth(field - 3))
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    #[allow(clippy::zombie_processes, reason = "reaped through its descriptor")]
    async fn process_end_is_seen_and_its_status_read() {
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        let process = Process::open(child.id(), "boot").unwrap();
        assert!(!process.has_ended());
        assert!(process.identity().start_ticks > 0);
        process.kill();
        process.ended().await;
        assert!(process.has_ended());
        for _ in 0..2 {
            assert_eq!(process.reap().as_deref(), Some("killed by signal 9"));
        }
    }

    #[test]
    fn a_process_that_only_mentions_the_id_is_not_the_holder() {
        let folder = tempfile::tempdir().unwrap();
        let lock = File::create(folder.path().join("lock")).unwrap();
        let id = Id::generate();
        let mut child = Command::new("tail")
            .args(["-f", "/dev/null", "--", "-uuid", &id.to_string()])
            .spawn()
            .unwrap();
        assert_eq!(holder_of(&lock, id).unwrap(), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
