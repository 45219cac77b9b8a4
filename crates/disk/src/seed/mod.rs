//! The NoCloud seed: a small disc with the label `cidata`, from which cloud-init in a guest takes its
//! host name, users and commands.
//!
//! Specification: cloud-init's documentation, "NoCloud", "Source 1: labelled filesystem".

mod disc;

use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::atomic;
use disc::Disc;

/// The label that cloud-init looks for.
pub const LABEL: &str = "cidata";

/// More than any of the files sensibly has; it is read into the guest's memory at each boot.
const LARGEST_FILE: usize = 16 << 20;

/// What goes onto the disc.
#[derive(Debug, Clone, Copy)]
pub struct SeedFiles<'a> {
    /// `meta-data`: instance id and host name (YAML).
    pub meta_data: &'a [u8],
    /// `user-data`: a cloud-config or a script.
    pub user_data: &'a [u8],
    /// `network-config` (YAML), where the default (DHCP) does not do.
    pub network_config: Option<&'a [u8]>,
}

/// Why a seed was not written. Nothing is left behind.
#[derive(Debug, Error)]
pub enum SeedError {
    /// The host could not write it.
    #[error("cannot write the cloud-init seed {}: {source}", path.display())]
    Write {
        /// The seed.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is larger than a seed takes.
    #[error("{name} has {size} bytes; a cloud-init seed takes at most {LARGEST_FILE} of a file")]
    TooLarge {
        /// Which.
        name: &'static str,
        /// Its size.
        size: usize,
    },
}

/// Writes the seed disc. The same files make the same bytes.
///
/// # Errors
/// See [`SeedError`]; also when `path` exists already.
pub fn write_iso(path: &Path, files: &SeedFiles<'_>) -> Result<(), SeedError> {
    let mut disc = Disc::new(LABEL);
    add(&mut disc, "meta-data", files.meta_data)?;
    if let Some(network_config) = files.network_config {
        add(&mut disc, "network-config", network_config)?;
    }
    add(&mut disc, "user-data", files.user_data)?;
    let image = disc.image();
    atomic::create(path, |file| file.write_all_at(&image, 0)).map_err(|source| SeedError::Write {
        path: path.to_owned(),
        source,
    })
}

fn add<'a>(disc: &mut Disc<'a>, name: &'static str, bytes: &'a [u8]) -> Result<(), SeedError> {
    if bytes.len() > LARGEST_FILE {
        return Err(SeedError::TooLarge {
            name,
            size: bytes.len(),
        });
    }
    disc.add(name, bytes);
    Ok(())
}
