//! The guest host: a Linux that runs one program of ours and powers off.
//!
//! The test machine's root is read-only at `/host` in it, so the program under test and the checks
//! that are built beside it run there unchanged. A folder of the test's is `/out`; what is written
//! there is here at once and stays when the power is cut.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::{Machine, VolatileDisk};
use crate::daemon::built_program;
use crate::guests;

/// How long a host may take for its work before it is ended.
const LIMIT: Duration = Duration::from_secs(600);

/// A guest host, to be booted once or many times. Its disks are `/dev/vda` and on.
#[derive(Debug)]
pub struct Host {
    machine: Machine,
    modules: Vec<&'static str>,
    out: TempDir,
}

impl Host {
    /// A host with this much memory, in MiB.
    pub fn new(memory: u32) -> Result<Self> {
        let out = tempfile::Builder::new().prefix("kinglet-host-").tempdir()?;
        let machine = Machine::new(memory)
            .boots_once()
            .share("host", Path::new("/"), true)
            .share("out", out.path(), false);
        Ok(Self {
            machine,
            modules: Vec::new(),
            out,
        })
    }

    /// So many processors.
    #[must_use]
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.machine = self.machine.cpus(cpus);
        self
    }

    /// Has these lists of kernel modules loaded: `crypt`, `faults`, `kvm`.
    #[must_use]
    pub fn modules(mut self, lists: &[&'static str]) -> Self {
        self.modules = lists.to_vec();
        self
    }

    /// A disk of raw bytes.
    #[must_use]
    pub fn disk(mut self, file: &Path) -> Self {
        self.machine = self.machine.disk(file, "raw");
        self
    }

    /// A disk that can lose what was not flushed.
    #[must_use]
    pub fn volatile_disk(mut self, disk: &VolatileDisk) -> Self {
        self.machine = self.machine.volatile_disk(disk);
        self
    }

    /// The folder that is `/out` in it.
    #[must_use]
    pub fn out(&self) -> &Path {
        self.out.path()
    }

    /// Boots it and has it run `program`, built on this machine, with `arguments`. The program finds
    /// the program under test in `KINGLET_PROGRAM` and the guests' folders as the tests do.
    pub fn start(&self, program: &Path, arguments: &[&str]) -> Result<Run> {
        for name in ["stdout", "stderr", "status", "console"] {
            let _ = fs::remove_file(self.out().join(name));
        }
        let mut script = Vec::new();
        let tiny = guests::tiny()?;
        for (name, path) in [
            ("KINGLET_PROGRAM", &built_program()),
            ("KINGLET_GUEST_TINY", &tiny),
        ] {
            script.extend_from_slice(format!("export {name}=").as_bytes());
            quote(&mut script, seen_from_inside(path)?.as_os_str());
            script.push(b'\n');
        }
        script.extend_from_slice(b"exec");
        quote(&mut script, seen_from_inside(program)?.as_os_str());
        for argument in arguments {
            quote(&mut script, OsStr::new(argument));
        }
        fs::write(self.out().join("command"), script)?;

        let guest = guests::host()?;
        let mut kernel = fs::read_to_string(guest.join("cmdline"))?.trim().to_owned();
        if !self.modules.is_empty() {
            kernel += &format!(" kinglet.modules={}", self.modules.join(","));
        }
        let machine = self
            .machine
            .clone()
            .kernel(&guest.join("vmlinuz"), &guest.join("initrd.img"), &kernel)
            .console_in(&self.out().join("console"));
        let child = machine
            .command()
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .context("cannot run QEMU; `cargo xtask test` installs it")?;
        Ok(Run {
            child,
            out: self.out().to_owned(),
            end: Instant::now() + LIMIT,
        })
    }

    /// The same, from its start to its end; gives what the program printed.
    pub fn run(&self, program: &Path, arguments: &[&str]) -> Result<String> {
        self.start(program, arguments)?.finish()
    }
}

/// A guest host that is running. Dropping it pulls the plug.
#[derive(Debug)]
pub struct Run {
    child: Child,
    out: PathBuf,
    end: Instant,
}

impl Run {
    /// Waits until the program has ended well and the host is off; gives what the program printed.
    pub fn finish(mut self) -> Result<String> {
        while self.child.try_wait()?.is_none() {
            if Instant::now() > self.end {
                self.child.kill()?;
                bail!("the host did not come to an end:\n{}", self.told());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let status = fs::read_to_string(self.out.join("status")).unwrap_or_default();
        ensure!(
            status.trim() == "0",
            "the program in the host ended with {:?}:\n{}",
            status.trim(),
            self.told()
        );
        Ok(self.read("stdout"))
    }

    /// What the program has printed so far.
    pub fn printed(&self) -> String {
        self.read("stdout")
    }

    /// Fails where the host has ended, which was not to be expected yet.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the host has ended with {status}:\n{}", self.told());
        }
        ensure!(
            Instant::now() < self.end,
            "the host takes too long:\n{}",
            self.told()
        );
        Ok(())
    }

    /// Pulls the plug.
    pub fn cut(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.out.join(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn told(&self) -> String {
        format!(
            "--- its output:\n{}{}--- its console:\n{}",
            self.read("stdout"),
            self.read("stderr"),
            self.read("console")
        )
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the host sees a file of this machine.
fn seen_from_inside(path: &Path) -> Result<PathBuf> {
    let path = fs::canonicalize(path).with_context(|| format!("no {}", path.display()))?;
    Ok(Path::new("/host").join(path.strip_prefix("/")?))
}

/// Adds a word to a line of a shell script.
fn quote(script: &mut Vec<u8>, word: &OsStr) {
    script.extend_from_slice(if script.ends_with(b"=") { b"'" } else { b" '" });
    for byte in word.as_bytes() {
        match byte {
            b'\'' => script.extend_from_slice(b"'\\''"),
            byte => script.push(*byte),
        }
    }
    script.push(b'\'');
}
