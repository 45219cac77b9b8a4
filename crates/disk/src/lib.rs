//! What a disk image is: telling formats by their content, proving that a file is whole, reading it
//! through, converting one into another, and writing the few files that a VM needs (copy-on-write
//! overlays, empty disks, the cloud-init seed).
//!
//! Synchronous; a caller on an async runtime puts it on a blocking thread. Every parser here is total:
//! its input was written by somebody else. Arithmetic is checked, reads and memory are bounded by
//! [`Limits`], and nothing that an image names is ever opened.

pub mod convert;
pub mod overlay;
pub mod probe;
pub mod qcow2;
pub mod read;
pub mod scan;
pub mod seed;
pub mod source;
pub mod sums;
pub mod write;

mod atomic;
mod crc32c;
mod fields;
mod unpack;

pub use probe::{Limits, Probe, ProbeError, Wholeness, probe};
pub use read::{Extent, ReadAt};
pub use write::WriteAt;
