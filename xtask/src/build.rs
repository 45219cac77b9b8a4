//! Building the program, with the page in it.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::setup::cargo;
use crate::tool::run_visibly;
use crate::web;

/// How a program is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Quick to build.
    Dev,
    /// As it is measured and shipped.
    Release,
}

impl Profile {
    const fn folder(self) -> &'static str {
        match self {
            Self::Dev => "debug",
            Self::Release => "release",
        }
    }
}

/// Builds the page, then `kinglet` with it, and says where it is.
pub fn kinglet(profile: Profile) -> Result<PathBuf> {
    web::build()?;
    let mut cargo = cargo()?;
    cargo
        .current_dir(web::workspace())
        .args(["build", "--locked", "--package", "kinglet"]);
    if profile == Profile::Release {
        cargo.arg("--release");
    }
    run_visibly(&mut cargo).context("Kinglet could not be built")?;
    Ok(target().join(profile.folder()).join("kinglet"))
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| web::workspace().join("target"), PathBuf::from)
}
