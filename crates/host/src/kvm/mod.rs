//! Whether KVM really runs Linux: proven by a guest, not concluded from `/dev/kvm` being there.
//!
//! A nested or restricted KVM may open, make VMs, and still fail at instructions that every kernel
//! uses, or emulate guests a hundred times too slowly. So a child process ([`child_main`]) runs a
//! small guest in long mode and reports; the parent ([`probe_in_child`]) kills it where it hangs. A
//! child, because a broken KVM can block a thread for ever.

#[cfg(target_arch = "x86_64")]
mod child;
#[cfg(target_arch = "x86_64")]
mod guest;
mod report;
#[cfg(target_arch = "x86_64")]
mod sys;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use report::{Outcome, Step};

use crate::program;

/// How long the probe guest may take. A usable KVM needs a few milliseconds.
const BOUND: Duration = Duration::from_secs(10);

/// The hidden verb of the program with which it becomes the probe's child.
pub const VERB: &str = "kvm-probe";

/// What KVM on this machine is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KvmVerdict {
    /// There is no `/dev/kvm`: no hardware virtualisation, or its module is not loaded.
    Absent,
    /// `/dev/kvm` is there, but this process may not open it.
    NotPermitted,
    /// It opens, but a Linux guest would not run on it, or far too slowly.
    CannotRunLinux {
        /// What happened, to stand after "KVM opens, but cannot run Linux: ".
        why: String,
    },
    /// A guest ran everything that it should, fast enough.
    Usable,
}

impl KvmVerdict {
    /// Whether guests can be given to it.
    #[must_use]
    pub const fn is_usable(&self) -> bool {
        matches!(self, Self::Usable)
    }
}

impl fmt::Display for KvmVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("there is no /dev/kvm"),
            Self::NotPermitted => f.write_str("/dev/kvm may not be opened by this user"),
            Self::CannotRunLinux { why } => {
                write!(f, "/dev/kvm opens, but cannot run Linux: {why}")
            }
            Self::Usable => f.write_str("a probe guest ran on /dev/kvm"),
        }
    }
}

/// Runs `exe kvm-probe` and tells what it found, within 10 s. The caller keeps the answer: it does not
/// change until the machine boots again or permissions change.
#[must_use]
pub fn probe_in_child(exe: &Path) -> KvmVerdict {
    probe_within(exe, BOUND)
}

fn probe_within(exe: &Path, bound: Duration) -> KvmVerdict {
    let cannot = |why: String| KvmVerdict::CannotRunLinux { why };
    let child = match program::run(exe, &[VERB], bound) {
        Ok(child) => child,
        Err(error) => return cannot(format!("the probe could not be run ({error})")),
    };
    let Some(report) = report::parse(&child.stdout) else {
        return cannot("the probe's answer is not understood".to_owned());
    };
    match (child.status, report.outcome, report.step) {
        (Some(status), Some(outcome), _) if status.success() => verdict(outcome),
        (None, None, Some(step)) => cannot(format!(
            "it did not get past {step} within {} s",
            bound.as_secs_f32()
        )),
        (None, _, _) => cannot(format!(
            "the probe did not end within {} s",
            bound.as_secs_f32()
        )),
        (Some(status), _, step) => cannot(format!(
            "the probe ended without an answer ({status}){}",
            step.map_or(String::new(), |step| format!(" at {step}"))
        )),
    }
}

fn verdict(outcome: Outcome) -> KvmVerdict {
    match outcome {
        Outcome::Absent => KvmVerdict::Absent,
        Outcome::NotPermitted => KvmVerdict::NotPermitted,
        Outcome::Cannot { why } => KvmVerdict::CannotRunLinux { why },
        Outcome::Ran { rate } if rate < report::SLOWEST_USABLE => KvmVerdict::CannotRunLinux {
            why: format!(
                "it runs guest code by emulation, at about {} million instructions a second",
                rate.div_ceil(1_000_000)
            ),
        },
        Outcome::Ran { .. } => KvmVerdict::Usable,
    }
}

/// The child's side: runs the probe guest, reports on standard output, and gives the process's exit
/// code.
#[must_use]
pub fn child_main() -> u8 {
    #[cfg(target_arch = "x86_64")]
    let outcome = child::probe(&mut |step: Step| report::say(&report::Line::Step(step)));
    #[cfg(not(target_arch = "x86_64"))]
    let outcome = Outcome::Cannot {
        why: format!("there is no probe for {} yet", std::env::consts::ARCH),
    };
    u8::from(report::say(&report::Line::Outcome(outcome)).is_err())
}

#[cfg(test)]
mod tests;
