//! LUKS in user space: disk encryption that `cryptsetup` reads and writes, without device-mapper,
//! outside tools or privileges.
//!
//! [`Container`] is a header and its keys: create, unlock, add, change and remove keys, back up,
//! repair. [`Volume`] is the data behind it as a plain block device. LUKS2 is read and written,
//! LUKS1 is read.
//!
//! ```
//! use std::time::Duration;
//!
//! use kinglet_luks::{Container, Cost, FormatOptions, Limits, Secret};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let file = tempfile::tempfile()?;
//! file.set_len((16 << 20) + 4096)?;
//! let (passphrase, limits) = (Secret::copy_of(b"correct horse"), Limits::for_memory(1 << 30));
//! let cost = Cost::measured(Duration::from_millis(1), 64 << 20, 1);
//! let options = FormatOptions::new(4096, cost);
//! let (container, key) = Container::format(&file, &options, &passphrase, limits)?;
//! container.into_volume(&key)?.write_all_at(b"hello", 0)?;
//!
//! let container = Container::open(&file, limits)?;
//! let unlocked = container.unlock(&passphrase)?;
//! let mut greeting = [0; 5];
//! container.into_volume(&unlocked.key)?.read_exact_at(&mut greeting, 0)?;
//! assert_eq!(&greeting, b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! Synchronous; a caller on an async runtime puts it on a blocking thread. A header was written by
//! somebody else: every parser here is total, and what a header asks for (memory, time) is bounded
//! by [`Limits`] before anything is spent.
//!
//! Specifications: *LUKS1 On-Disk Format* 1.2.3 and *LUKS2 On-Disk Format* 1.1.2 of the cryptsetup
//! project.

pub mod cipher;
pub mod container;
pub mod hash;
pub mod kdf;
pub mod metadata;
pub mod secret;
pub mod storage;
pub mod volume;

mod antiforensic;
mod error;
mod keyslot;
mod luks1;
mod luks2;
mod memory;

pub use cipher::CipherSpec;
pub use container::{Container, FormatOptions, Label, Unlocked};
pub use error::Error;
pub use kdf::{Cost, Limits};
pub use metadata::{Metadata, Segment, Version};
pub use secret::Secret;
pub use storage::Storage;
pub use volume::Volume;
