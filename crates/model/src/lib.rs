//! The vocabulary of Kinglet: what an image, a VM and a host are, which states they can be in, and
//! what may be done with them in each state.
//!
//! Pure data and rules. Nothing here does I/O, reads a clock or starts a thread. Every other crate
//! asks this one; none of them decides by itself whether something is allowed. The server sends the
//! answer with each object (`status.actions`), so that the API, the CLI and the page derive from the
//! same tables: [`image::phase`], [`image::action`], [`vm::phase`], [`vm::action`].

pub mod action;
pub mod api;
pub mod digest;
pub mod event;
pub mod host;
pub mod id;
pub mod image;
pub mod labels;
pub mod memory;
pub mod meta;
pub mod name;
pub mod problem;
pub mod size;
pub mod vm;

pub use action::ActionState;
pub use digest::Digest;
pub use host::Host;
pub use id::{Id, Revision};
pub use image::Image;
pub use meta::{Condition, Metadata, Progress, Resource};
pub use name::Name;
pub use problem::Problem;
pub use size::Size;
pub use vm::Vm;
