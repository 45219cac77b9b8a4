//! Whom the kernel killed for want of memory, from its log (`/dev/kmsg`,
//! Documentation/ABI/testing/dev-kmsg).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The kernel gives one record a read, none longer.
const RECORD: usize = 8192;
/// So many records are read at once, so that a kernel that logs without end holds nobody up.
const MOST: usize = 2048;

/// A process that was killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Victim {
    /// Its number.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// Whether its cgroup's limit was the cause, and not the host's memory.
    pub by_cgroup: bool,
}

/// Reads a record of the log. `None` where it is about anything else.
#[must_use]
pub fn victim(record: &str) -> Option<Victim> {
    let message = record.lines().next()?.split_once(';')?.1;
    let (by_cgroup, rest) =
        match message.strip_prefix("Memory cgroup out of memory: Killed process ") {
            Some(rest) => (true, rest),
            None => (
                false,
                message.strip_prefix("Out of memory: Killed process ")?,
            ),
        };
    let (pid, rest) = rest.split_once(" (")?;
    // The name is the process's own and may contain anything, so its end is sought from behind.
    let end = rest.rfind(") total-vm:").or_else(|| rest.rfind(')'))?;
    Some(Victim {
        pid: pid.parse().ok()?,
        name: rest
            .get(..end)?
            .chars()
            .filter(|c| !c.is_control())
            .take(64)
            .collect(),
        by_cgroup,
    })
}

/// The kernel's log from now on.
#[derive(Debug)]
pub struct OomLog {
    file: File,
}

impl OomLog {
    /// Opens the log (`/dev/kmsg`) at its end.
    ///
    /// # Errors
    /// Where this process may not read it.
    pub fn open(kmsg: &Path) -> io::Result<Self> {
        let mut file = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open(kmsg)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file })
    }

    /// Who was killed since the last call. Never waits.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub fn victims(&mut self) -> io::Result<Vec<Victim>> {
        let mut victims = Vec::new();
        let mut record = vec![0; RECORD];
        for _ in 0..MOST {
            match self.file.read(&mut record) {
                Ok(0) => break,
                Ok(length) => victims.extend(victim(&String::from_utf8_lossy(&record[..length]))),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Records were overwritten before they were read; the next read goes on after them.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(victims)
    }
}
