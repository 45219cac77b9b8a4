//! The guests that the tests boot. `cargo xtask guest` makes them from Debian's packages and keeps them
//! in a cache outside the work tree.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The Debian guest's folder: `debian-12.qcow2`, `vmlinuz`, `initrd.img`.
pub fn debian() -> Result<PathBuf> {
    folder("KINGLET_GUEST_DEBIAN", &[])
}

/// The tiny guest's folder: `vmlinuz`, `initrd.img`; up within seconds, a BusyBox shell on its console.
pub fn tiny() -> Result<PathBuf> {
    folder("KINGLET_GUEST_TINY", &["--tiny"])
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
