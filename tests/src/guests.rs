//! The guests that the tests boot. `cargo xtask guest` makes them from Debian's packages and keeps them
//! in a cache outside the work tree.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::wait::until;

/// The Debian guest's folder: `debian-12.qcow2`, `vmlinuz`, `initrd.img`.
pub fn debian() -> Result<PathBuf> {
    folder("KINGLET_GUEST_DEBIAN", &[])
}

/// The tiny guest's folder: `vmlinuz`, `initrd.img`; up within seconds, a BusyBox shell on its console.
pub fn tiny() -> Result<PathBuf> {
    folder("KINGLET_GUEST_TINY", &["--tiny"])
}

/// The guest host's folder: `vmlinuz`, `initrd.img`, `cmdline`. See [`crate::host`].
pub fn host() -> Result<PathBuf> {
    folder("KINGLET_GUEST_HOST", &["--host"])
}

/// What the guest's SSH server says first, once one answers on the host's published `port`.
pub fn ssh_banner(port: u16) -> Result<String> {
    until("an SSH server behind the published port", || {
        let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else {
            return Ok(None);
        };
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut line = String::new();
        let read = BufReader::new(stream).read_line(&mut line);
        Ok((read.is_ok() && line.starts_with("SSH-2.0-")).then_some(line))
    })
}

fn folder(variable: &str, arguments: &[&str]) -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os(variable) {
        return Ok(folder.into());
    }
    let output = Command::new(env!("CARGO"))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["run", "--quiet", "--package", "xtask", "--", "guest"])
        .args(arguments)
        .output()
        .context("cannot run cargo xtask guest")?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout)?;
    Ok(text
        .lines()
        .last()
        .context("cargo xtask guest printed no folder")?
        .into())
}
