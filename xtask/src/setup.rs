//! What the machine must have before a chore can run, and how to get it there.
//!
//! Root, or a user with passwordless sudo, gets the missing Debian packages installed; anyone
//! else gets the exact command and a failure.

mod archive;
mod packages;

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::tool::{find, run_visibly, start, tool};
pub use packages::Purpose;

/// Debian packages for `purpose` that are not installed, in the order of the table.
pub fn missing(purpose: Purpose) -> Result<Vec<&'static str>> {
    let wanted = packages::needed(purpose, is_root());
    if find("dpkg-query").is_none() {
        bail!(
            "this needs Debian 12 or later: dpkg-query is not there; the packages are: {}",
            wanted.join(" ")
        );
    }
    let mut query = tool("dpkg-query")?;
    query
        .args(["--show", "--showformat=${db:Status-Status} ${Package}\n"])
        .args(&wanted);
    // It exits with 1 as soon as one package is unknown; what it prints counts.
    let output = start(&mut query)?;
    let answer = String::from_utf8_lossy(&output.stdout);
    Ok(not_installed(&wanted, &answer))
}

/// Fails, naming the packages and the command, when something for `purpose` is missing.
pub fn check(purpose: Purpose) -> Result<()> {
    let missing = missing(purpose)?;
    if missing.is_empty() {
        eprintln!("setup: every Debian package for this is installed");
        return Ok(());
    }
    bail!(remedy(&missing))
}

/// Installs what is missing for `purpose`. Quick when nothing is.
pub fn ensure(purpose: Purpose) -> Result<()> {
    let missing = missing(purpose)?;
    if missing.is_empty() {
        return Ok(());
    }
    if !is_root() && !sudo_works() {
        bail!(remedy(&missing));
    }
    eprintln!("setup: installing {}", missing.join(" "));
    run_visibly(apt()?.arg("update")).context("the package lists could not be fetched")?;
    let mut install = apt()?;
    install.args(["install", "--yes", "--no-install-recommends"]);
    install.args(&missing);
    let Err(error) = run_visibly(&mut install) else {
        return Ok(());
    };
    // One of ours that came from elsewhere, and newer, can forbid the archive's version of another.
    let strays = archive::strays(&packages::needed(purpose, is_root()))?;
    if strays.is_empty() {
        return Err(error.context("the packages could not be installed"));
    }
    eprintln!(
        "setup: these are installed in a version that no archive has, and go back to the archive's: {}",
        strays.join(" ")
    );
    install.arg("--allow-downgrades").args(strays);
    run_visibly(&mut install).context("the packages could not be installed")
}

/// `cargo nextest run` where it is installed, else `cargo test`: never downloads and compiles
/// a test runner behind the user's back.
pub fn test_runner() -> Result<Command> {
    let mut cargo = cargo()?;
    let nextest = start(cargo.args(["nextest", "--version"]))?
        .status
        .success();
    let mut cargo = self::cargo()?;
    if nextest {
        eprintln!("test: running with cargo-nextest");
        cargo.args(["nextest", "run"]);
    } else {
        eprintln!("test: cargo-nextest is not installed, running with plain cargo test");
        cargo.arg("test");
    }
    Ok(cargo)
}

/// The cargo that started us, so that a pinned toolchain stays the same one.
pub fn cargo() -> Result<Command> {
    match std::env::var_os("CARGO") {
        Some(path) => Ok(Command::new(path)),
        None => tool("cargo"),
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn sudo_works() -> bool {
    tool("sudo")
        .and_then(|mut sudo| start(sudo.args(["--non-interactive", "true"])))
        .is_ok_and(|output| output.status.success())
}

fn apt() -> Result<Command> {
    let mut command = if is_root() {
        tool("env")?
    } else {
        let mut sudo = tool("sudo")?;
        sudo.args(["--non-interactive", "env"]);
        sudo
    };
    // Another apt (a timer, a second chore) may hold the lock for a while.
    command.args([
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-o",
        "DPkg::Lock::Timeout=600",
    ]);
    Ok(command)
}

fn not_installed(wanted: &[&'static str], answer: &str) -> Vec<&'static str> {
    let installed: Vec<&str> = answer
        .lines()
        .filter_map(|line| line.strip_prefix("installed "))
        .collect();
    wanted
        .iter()
        .filter(|name| !installed.contains(name))
        .copied()
        .collect()
}

fn remedy(missing: &[&str]) -> String {
    format!(
        "Debian packages are missing. As root, run:\n  \
         apt-get update && apt-get install -y --no-install-recommends {}",
        missing.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn not_installed_counts_only_installed() {
        let answer = "installed ovmf\nconfig-files mtools\nnot-installed fdisk\n";
        assert_eq!(
            not_installed(&["ovmf", "mtools", "fdisk", "passt"], answer),
            ["mtools", "fdisk", "passt"]
        );
    }

    #[test]
    fn remedy_is_a_command_to_paste() {
        let text = remedy(&["ovmf", "mtools"]);
        assert!(text.ends_with("apt-get install -y --no-install-recommends ovmf mtools"));
    }

    #[test]
    fn missing_asks_the_real_dpkg() {
        let missing = missing(Purpose::Demo).unwrap();
        assert!(!missing.contains(&"e2fsprogs"), "{missing:?}");
    }
}
