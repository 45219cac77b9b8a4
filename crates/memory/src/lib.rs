//! The host's memory: its swap file, zram, how tight memory is, and what VMs may take.
//!
//! Without a shell and without outside tools: [`swap`] writes the swap header itself and calls
//! `swapon(2)`; [`zram`] writes to `/sys`. Everything here blocks; callers on an async runtime put it
//! on a blocking thread. What can be decided without looking is pure: [`swap::SwapPlan`],
//! [`pressure::Alarms`], [`admission::admit`].

pub mod admission;
mod atomic;
pub mod boot;
mod folder;
pub mod pressure;
pub mod proc;
pub mod swap;
mod sys;
pub mod usage;
pub mod wear;
pub mod zram;
