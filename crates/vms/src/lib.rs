//! Virtual machines: from what is wanted of one to a process that runs it, and back.
//!
//! - [`Machines`]: the handle; creates VMs, acts on them, deletes them.
//! - [`keeper`]: one task a VM that brings its status to its spec, whatever happened before.
//! - [`engine`]: what runs a guest; QEMU is the first.
//! - [`console`]: the serial console: a bounded log with many readers and one writer.
//!
//! A VM's process outlives the program. It holds a lock on a file in the VM's folder for as long as
//! it lives, so "is there a process of this VM?" has one answer at any time, also after a crash.

pub mod config;
pub mod console;
pub mod engine;
pub mod keeper;

mod command;
mod create;
mod firmware;
mod folder;
mod images;
mod machines;
mod media;
mod ports;
mod problem;
mod process;
mod readable;
mod reference;
mod seed;
mod tap;
mod usage;

pub use config::{HostFacts, ImageFiles, MachinesConfig};
pub use console::{ClaimError, Console, Writer};
pub use machines::{Machines, OpenError};
pub use usage::UsageGuard;
