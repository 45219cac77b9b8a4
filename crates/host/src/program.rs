//! Finding a program and running it within a bound of time and output.

use std::ffi::OsStr;
use std::io::Read;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use thiserror::Error;

/// Where programs are beside `PATH`, which a service manager may have left short.
const PLACES: [&str; 6] = [
    "/usr/local/bin",
    "/usr/bin",
    "/bin",
    "/usr/local/sbin",
    "/usr/sbin",
    "/usr/libexec",
];

/// Output that is kept of a program; more is a failure.
const MAX_OUTPUT: usize = 1 << 20;

/// How long a killed process may take to disappear.
const KILL_BOUND: Duration = Duration::from_secs(2);

/// What a program did.
#[derive(Debug)]
pub struct Outcome {
    /// What it wrote to its standard output until it ended or was killed.
    pub stdout: Vec<u8>,
    /// How it ended; `None` where it was killed because its time was over.
    pub status: Option<ExitStatus>,
}

/// Why a program could not be run.
#[derive(Debug, Error)]
pub enum RunError {
    /// It could not be started.
    #[error("{program} could not be started: {source}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// The kernel failed while it ran.
    #[error("{program} could not be watched: {source}")]
    Watch {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// It wrote more than a mebibyte.
    #[error("{program} wrote more output than it should")]
    Output {
        /// The program.
        program: String,
    },
}

/// The first executable file named `name` in `PATH` or the usual places.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .filter(|folder| folder.is_absolute())
        .chain(PLACES.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    file.is_file() && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok()
}

/// Runs `program` with an empty environment and no input, for at most `bound`; then it is killed.
pub fn run<S: AsRef<OsStr>>(
    program: &Path,
    arguments: &[S],
    bound: Duration,
) -> Result<Outcome, RunError> {
    let name = program.display().to_string();
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|source| RunError::Start {
            program: name.clone(),
            source,
        })?;
    let watched = watch(&mut child, bound);
    let still_there = !matches!(watched, Ok((_, true)));
    if still_there {
        end(&mut child);
    }
    let (stdout, ended) = watched.map_err(|error| match error {
        WatchFailure::Kernel(source) => RunError::Watch {
            program: name.clone(),
            source,
        },
        WatchFailure::TooMuch => RunError::Output {
            program: name.clone(),
        },
    })?;
    let status = if ended {
        Some(child.wait().map_err(|source| RunError::Watch {
            program: name,
            source,
        })?)
    } else {
        None
    };
    Ok(Outcome { stdout, status })
}

enum WatchFailure {
    Kernel(std::io::Error),
    TooMuch,
}

impl<E: Into<std::io::Error>> From<E> for WatchFailure {
    fn from(error: E) -> Self {
        Self::Kernel(error.into())
    }
}

/// Collects the child's output until it ended (`true`) or its time is over (`false`). Its end is told
/// by its pidfd and not by the end of its output, which a grandchild could hold open.
fn watch(child: &mut Child, bound: Duration) -> Result<(Vec<u8>, bool), WatchFailure> {
    let deadline = Instant::now() + bound;
    let mut output = Vec::new();
    let pid = Pid::from_child(child);
    let Some(mut stdout) = child.stdout.take() else {
        return Ok((output, false));
    };
    rustix::io::ioctl_fionbio(&stdout, true)?;
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let mut open = true;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let mut fds = vec![PollFd::new(&pidfd, PollFlags::IN)];
        if open {
            fds.push(PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::IN));
        }
        let ready = match poll(&mut fds, Some(&timespec(left))) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        if ready == 0 {
            return Ok((output, false));
        }
        let ended = !fds[0].revents().is_empty();
        drop(fds);
        open = open && drain(&mut stdout, &mut output)?;
        if ended {
            return Ok((output, true));
        }
    }
}

/// Takes what is there; `false` at the end of the output.
fn drain(stdout: &mut impl Read, output: &mut Vec<u8>) -> Result<bool, WatchFailure> {
    let mut buffer = [0; 16 << 10];
    loop {
        match stdout.read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(n) if output.len() + n > MAX_OUTPUT => {
                output.extend_from_slice(&buffer[..n.min(MAX_OUTPUT - output.len())]);
                return Err(WatchFailure::TooMuch);
            }
            Ok(n) => output.extend_from_slice(&buffer[..n]),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Kills the child and takes its exit status. A child that the kernel does not let go is left to
/// itself: waiting for it would stop the caller too.
fn end(child: &mut Child) {
    let pidfd = pidfd_open(Pid::from_child(child), PidfdFlags::empty());
    if child.kill().is_err() {
        return;
    }
    if let Ok(pidfd) = pidfd {
        let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
        if !matches!(poll(&mut fds, Some(&timespec(KILL_BOUND))), Ok(n) if n > 0) {
            return;
        }
    }
    let _ = child.wait();
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(duration.subsec_nanos()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_gives_output_and_status() {
        let echo = find("echo").unwrap();
        let outcome = run(&echo, &["a", "b"], Duration::from_secs(30)).unwrap();
        assert_eq!(outcome.stdout, b"a b\n");
        assert!(outcome.status.unwrap().success());
    }

    #[test]
    fn run_kills_what_does_not_end() {
        let sleep = find("sleep").unwrap();
        let outcome = run(&sleep, &["1000"], Duration::from_millis(50)).unwrap();
        assert!(outcome.status.is_none());
    }

    #[test]
    fn run_stops_a_flood() {
        let yes = find("yes").unwrap();
        let flood = run(&yes, &["x"; 0], Duration::from_secs(30));
        assert!(matches!(flood, Err(RunError::Output { .. })), "{flood:?}");
    }

    #[test]
    fn find_takes_executables_only() {
        assert!(find("no-such-program-anywhere").is_none());
        assert!(find("../bin/sh").is_none_or(|path| path.is_file()));
    }
}
