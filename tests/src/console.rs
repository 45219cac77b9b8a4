//! A person at a VM's serial console: `kinglet vm console` with both ends in the test's hands.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::Daemon;
use crate::wait::patience;

/// An attached console.
pub struct Console {
    child: Child,
    keys: ChildStdin,
    output: Receiver<Vec<u8>>,
    seen: String,
}

impl Console {
    /// Attaches to the console of VM `name`.
    pub fn attach(daemon: &Daemon, name: &str) -> Result<Self> {
        let mut child = daemon
            .command()
            .args(["vm", "console", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()?;
        let keys = child.stdin.take().context("no standard input")?;
        let mut screen = child.stdout.take().context("no standard output")?;
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Ok(Self {
            child,
            keys,
            output,
            seen: String::new(),
        })
    }

    /// Waits for `text` to appear after everything that was waited for before, and gives what came
    /// with it.
    pub fn expect(&mut self, text: &str) -> Result<String> {
        let end = Instant::now() + patience();
        loop {
            if let Some(at) = self.seen.find(text) {
                let rest = self.seen.split_off(at + text.len());
                return Ok(std::mem::replace(&mut self.seen, rest));
            }
            match self
                .output
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(bytes) => self.seen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout) => {
                    bail!(
                        "waited in vain for {text:?}; the console shows:\n{}",
                        self.seen
                    )
                }
                Err(RecvTimeoutError::Disconnected) => {
                    bail!(
                        "the console ended before {text:?}; it showed:\n{}",
                        self.seen
                    )
                }
            }
        }
    }

    /// Types a line.
    pub fn line(&mut self, text: &str) -> Result<()> {
        self.keys.write_all(format!("{text}\n").as_bytes())?;
        self.keys.flush()?;
        Ok(())
    }

    /// Logs in to the Debian test guest and gives a prompt that cannot be mistaken.
    pub fn log_in(&mut self) -> Result<()> {
        self.expect("login: ")?;
        self.sign_in()
    }

    /// The same from the login prompt on, where that was waited for already.
    pub fn sign_in(&mut self) -> Result<()> {
        self.line("root")?;
        self.expect("Password: ")?;
        self.line("kinglet")?;
        self.expect("# ")?;
        self.line("stty -echo; PS1=; bind 'set enable-bracketed-paste off' 2>/dev/null")?;
        self.run("true")?;
        Ok(())
    }

    /// Runs a command in the guest's shell and gives what it printed. Call after [`Console::log_in`].
    pub fn run(&mut self, command: &str) -> Result<String> {
        self.line(&format!(
            "echo kinglet-'begin'; {command}; echo kinglet-'end'"
        ))?;
        self.expect("kinglet-begin")?;
        let output = self.expect("kinglet-end")?;
        Ok(output
            .trim_end_matches("kinglet-end")
            .trim()
            .replace('\r', ""))
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
