//! What this machine is and can do.
//!
//! The doctor proves instead of guessing: KVM counts as usable only after a guest ran what a Linux
//! kernel needs ([`kvm`]), QEMU only after it told its version ([`qemu`]). Everything here blocks;
//! callers on an async runtime put it on a blocking thread.

pub mod doctor;
pub mod facts;
mod filesystem;
pub mod firmware;
pub mod kvm;
pub mod passt;
mod proc;
mod program;
pub mod qemu;
pub mod usage;

pub use facts::{HostFacts, facts};
pub use kvm::KvmVerdict;
pub use qemu::Qemu;
