//! The host's swap file: looked at, planned, made, switched, and brought back after a crash.
//!
//! [`SwapKeeper::reconcile`] is the one way in: on, off, resize and move are all "bring the host to
//! this spec". It looks ([`HostView`]), decides ([`SwapPlan`], pure) and acts, step by step, undoing
//! what was done where a step fails. The order of the steps is the record of what was meant: after a
//! crash at any of them the same call completes the work.

mod create;
mod header;
mod keeper;
mod look;
mod path;
mod plan;
mod record;
mod refusal;
mod run;
mod users;
mod view;
mod wanted;

pub(crate) use header::LABEL_OF_ZRAM;
pub use header::SwapHeader;
pub use keeper::{SwapConfig, SwapKeeper};
pub use path::{PathError, Slot, SwapPath};
pub use plan::{Step, SwapPlan};
pub use refusal::Refusal;
pub use run::SwapError;
pub use users::swap_users;
pub use view::{FileSystem, HostView, Kind, OwnFile, Place};
pub use wanted::LEAST;

#[cfg(test)]
mod tests;
