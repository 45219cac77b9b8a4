//! A real `kinglet serve` on a data folder of its own, and the command line that talks to it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::wait::until;

/// A daemon of the test's own. Dropping it ends the daemon and every VM process that it left.
pub struct Daemon {
    program: PathBuf,
    folder: TempDir,
    address: SocketAddr,
    child: Option<Child>,
}

/// How a command of the command line came out.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code.
    pub code: i32,
    /// What it printed for programs.
    pub stdout: String,
    /// What it printed for people.
    pub stderr: String,
}

impl Daemon {
    /// Starts a daemon on a new data folder and waits until it answers.
    pub fn start() -> Result<Self> {
        Self::start_program(built_program())
    }

    /// The same with another program than the one under test.
    pub fn start_program(program: PathBuf) -> Result<Self> {
        let mut daemon = Self::prepare(program, free_address()?)?;
        daemon.launch()?;
        Ok(daemon)
    }

    /// A daemon that is not started yet, with an empty data folder.
    pub fn prepare(program: PathBuf, address: SocketAddr) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("kinglet-").tempdir()?;
        let daemon = Self {
            program,
            folder,
            address,
            child: None,
        };
        fs::create_dir_all(daemon.images())?;
        Ok(daemon)
    }

    /// The unix socket on which it answers.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("k.sock")
    }

    /// The watched folder.
    #[must_use]
    pub fn images(&self) -> PathBuf {
        self.data().join("images")
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder beside the data folder, on the same file system, for what the test makes.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// Where the daemon listens for browsers.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The daemon's process number, while it runs.
    pub fn pid(&self) -> Result<u32> {
        Ok(self
            .child
            .as_ref()
            .context("the daemon is not running")?
            .id())
    }

    /// Starts the daemon again after [`Daemon::kill`] and waits until it answers.
    pub fn launch(&mut self) -> Result<()> {
        self.spawn()?;
        until("the daemon to answer", || {
            let status = self.child.as_mut().context("no daemon")?.try_wait()?;
            if let Some(status) = status {
                bail!("the daemon ended with {status}:\n{}", self.log());
            }
            Ok((self.cli(["vm", "ls"])?.code == 0).then_some(()))
        })
    }

    /// Starts the daemon without waiting for anything.
    pub fn spawn(&mut self) -> Result<()> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))?;
        let child = self
            .command()
            .arg("serve")
            .arg("--data")
            .arg(self.data())
            .args(["--listen", &self.address.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Ends the daemon as a power cut would end it: SIGKILL, nothing is said to anybody.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the daemon is not running")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Collects a daemon that somebody else killed.
    pub fn reap(&mut self) -> Result<()> {
        self.child
            .take()
            .context("the daemon is not running")?
            .wait()?;
        Ok(())
    }

    /// Waits for a daemon that is expected to end by itself, and says how.
    pub fn wait_for_end(&mut self) -> Result<(i32, String)> {
        let mut child = self.child.take().context("the daemon is not running")?;
        let status = until("the daemon to end by itself", || Ok(child.try_wait()?))?;
        Ok((status.code().unwrap_or(-1), self.log()))
    }

    /// Runs a command of the command line.
    pub fn cli<I, S>(&self, arguments: I) -> Result<Outcome>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let output = self
            .command()
            .args(arguments)
            .stdin(Stdio::null())
            .output()?;
        Ok(Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// Runs a command that must succeed, and gives what it printed.
    pub fn ok<I, S>(&self, arguments: I) -> Result<String>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let arguments: Vec<_> = arguments.into_iter().collect();
        let shown: Vec<_> = arguments
            .iter()
            .map(|argument| argument.as_ref().to_string_lossy())
            .collect();
        let outcome = self.cli(&arguments)?;
        ensure!(
            outcome.code == 0,
            "kinglet {} ended with {}:\n{}{}\n--- daemon:\n{}",
            shown.join(" "),
            outcome.code,
            outcome.stdout,
            outcome.stderr,
            self.log()
        );
        Ok(outcome.stdout)
    }

    /// Runs a command with `--json` that must succeed, and gives the object.
    pub fn json<I, S>(&self, arguments: I) -> Result<Value>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut all = vec![OsStr::new("--json").to_owned()];
        all.extend(
            arguments
                .into_iter()
                .map(|argument| argument.as_ref().to_owned()),
        );
        let text = self.ok(&all)?;
        serde_json::from_str(&text).with_context(|| format!("not one JSON value: {text}"))
    }

    /// The image of this name, or nothing.
    pub fn image(&self, name: &str) -> Result<Option<Value>> {
        self.find("image", name)
    }

    /// The VM of this name, or nothing.
    pub fn vm(&self, name: &str) -> Result<Option<Value>> {
        self.find("vm", name)
    }

    /// Waits until the image of this name is in `phase`.
    pub fn image_in(&self, name: &str, phase: &str) -> Result<Value> {
        self.in_phase("image", name, phase)
    }

    /// Waits until the VM of this name is in `phase`.
    pub fn vm_in(&self, name: &str, phase: &str) -> Result<Value> {
        self.in_phase("vm", name, phase)
    }

    /// A command line that talks to this daemon.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.folder.path())
            .env("XDG_RUNTIME_DIR", self.folder.path())
            .env("KINGLET_SOCKET", self.socket())
            .env("RUST_BACKTRACE", "1");
        command
    }

    /// What the daemon has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The processes that run a VM of this daemon: those with its data folder in their arguments.
    pub fn vm_processes(&self) -> Result<Vec<u32>> {
        let ours = self.data().join("vms");
        let ours = ours.to_string_lossy();
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let name = entry?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            let mut arguments = Vec::new();
            // A process that ends while one looks at it is not one of those that are left.
            let read = File::open(format!("/proc/{pid}/cmdline"))
                .and_then(|mut file| file.read_to_end(&mut arguments));
            let text = String::from_utf8_lossy(&arguments);
            if read.is_ok() && text.starts_with("/usr/bin/qemu-system") && text.contains(&*ours) {
                found.push(pid);
            }
        }
        Ok(found)
    }

    fn find(&self, noun: &str, name: &str) -> Result<Option<Value>> {
        let outcome = self.cli(["--json", noun, "show", name])?;
        match outcome.code {
            0 => Ok(Some(serde_json::from_str(&outcome.stdout)?)),
            4 => Ok(None),
            code => bail!(
                "kinglet {noun} show {name} ended with {code}: {}",
                outcome.stderr
            ),
        }
    }

    fn in_phase(&self, noun: &str, name: &str, phase: &str) -> Result<Value> {
        let mut last = Value::Null;
        until(&format!("{noun} {name} to be {phase}"), || {
            last = self.find(noun, name)?.unwrap_or(Value::Null);
            Ok((last["status"]["phase"] == phase).then(|| last.clone()))
        })
        .with_context(|| format!("last seen: {last:#}\n--- daemon:\n{}", self.log()))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        for pid in self.vm_processes().unwrap_or_default() {
            if let Some(pid) = i32::try_from(pid)
                .ok()
                .and_then(rustix::process::Pid::from_raw)
            {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

/// A loopback address that nobody listens on.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// The program under test: `KINGLET_PROGRAM`, or the one built beside the running one.
pub fn built_program() -> PathBuf {
    std::env::var_os("KINGLET_PROGRAM").map_or_else(
        || {
            let mut folder = std::env::current_exe().unwrap_or_default();
            folder.pop();
            if folder.ends_with("deps") {
                folder.pop();
            }
            folder.join("kinglet")
        },
        PathBuf::from,
    )
}
