//! What the end-to-end tests stand on: a real daemon on a data folder of its own, driven through its
//! own command line as a person would, and the guests that it runs.
//!
//! Nothing here knows the inside of a crate. What a test sees is what a user sees: standard output,
//! exit codes, files, processes.

pub mod console;
pub mod daemon;
pub mod dice;
pub mod disks;
pub mod guests;
pub mod machine;
pub mod wait;

pub use console::Console;
pub use daemon::{Daemon, Outcome};
pub use dice::Dice;
pub use wait::{patience, until};
