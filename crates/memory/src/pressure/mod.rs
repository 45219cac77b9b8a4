//! How tight memory is: sampled, kept for a day, and watched for what a person should know.
//!
//! The caller decides how often: each second while somebody watches, each ten seconds else. Nothing
//! here starts a thread or reads a clock.

mod alarm;
mod cgroup;
mod hold;
mod oom;
mod sampler;
mod series;

pub use alarm::{AlarmChange, Alarms, Situation};
pub use cgroup::CgroupMemory;
pub use oom::{OomLog, Victim, victim};
pub use sampler::Sampler;
pub use series::{Resolution, Series};

#[cfg(test)]
mod tests;
