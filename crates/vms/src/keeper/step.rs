//! The decision: what is to be done next about a VM, given what is wanted, what was recorded, and what
//! is seen. A pure function, and the only place that decides it.

use kinglet_model::vm::{ExitCause, Power, VmEvent, VmPhase, VmSpec, VmStatus};

use crate::engine::Guest;

/// A kill was asked for.
pub const KILL_ASKED: &str = "kill-asked";
/// The guest did not shut down in time.
pub const DEADLINE_PASSED: &str = "deadline-passed";
/// The guest shut itself down.
pub const GUEST_SHUTDOWN: &str = "guest-shutdown";
/// The guest's kernel panicked.
pub const GUEST_PANIC: &str = "guest-panic";

/// The marks that say how a process is about to end; recorded before it is ended, so that the cause is
/// known whatever happens in between.
pub const MARKS: [&str; 4] = [KILL_ASKED, DEADLINE_PASSED, GUEST_SHUTDOWN, GUEST_PANIC];

/// What is seen of a VM's process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Process {
    /// There is none: its lock is free.
    Absent,
    /// Its lock is held, but the holder is not found yet.
    Hidden,
    /// There is one.
    Present {
        /// Whether it is the one in `status.process`.
        recorded: bool,
        /// What the guest does; `None` while its control socket does not answer.
        guest: Option<Guest>,
    },
}

/// How far a shutdown is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// The guest was not asked, or should be asked again.
    NotAsked,
    /// It was asked.
    Asked,
    /// Its deadline has passed.
    Overdue,
}

/// What is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The process.
    pub process: Process,
    /// Whether the recorded process, if any, belongs to the boot that runs now.
    pub same_boot: bool,
    /// Why an image that it needs is not ready. Looked at only when it matters.
    pub images: Option<String>,
    /// How far the shutdown is.
    pub shutdown: Shutdown,
    /// Whether the disc in the drive is the wanted one.
    pub media_right: bool,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Nothing, until something happens.
    Rest,
    /// Look for the process again shortly.
    LookAgain,
    /// Record a change of phase, with a reason for people.
    Move(VmEvent, Option<String>),
    /// Start a process.
    Launch,
    /// Record which process it is.
    Record,
    /// Halt the guest.
    Pause,
    /// Let the guest go on.
    Resume,
    /// Bring the drive to the wanted disc.
    Media,
    /// Record that the guest shut itself down, and that it is not wanted on any more.
    NoteShutdown,
    /// Record a mark, then kill.
    Mark(&'static str),
    /// Ask the guest to shut down.
    AskShutdown,
    /// End a process whose guest has shut down.
    Quit,
    /// Kill the process.
    Kill,
    /// Record that the process is gone.
    Ended(VmEvent, ExitCause),
    /// Remove the VM's folder and its record.
    Remove,
}

/// The next step.
#[must_use]
pub fn next_step(spec: &VmSpec, status: &VmStatus, seen: &Observed) -> Step {
    match &seen.process {
        Process::Hidden => Step::LookAgain,
        Process::Absent => absent(spec, status, seen),
        Process::Present { recorded, guest } => match status.phase {
            VmPhase::Stopped | VmPhase::Waiting | VmPhase::Failed | VmPhase::Deleting => Step::Kill,
            _ if !recorded => Step::Record,
            VmPhase::Stopping if has(status, KILL_ASKED) => Step::Kill,
            _ if has(status, KILL_ASKED) => Step::Move(VmEvent::Stop, None),
            phase => present(phase, spec, status, seen, guest.as_ref()),
        },
    }
}

fn absent(spec: &VmSpec, status: &VmStatus, seen: &Observed) -> Step {
    let wanted = spec.power != Power::Off;
    match (status.phase, wanted, &seen.images) {
        (VmPhase::Deleting, ..) => Step::Remove,
        (VmPhase::Failed, ..) | (VmPhase::Stopped, false, _) => Step::Rest,
        (VmPhase::Waiting, false, _) => Step::Move(VmEvent::Stop, None),
        (VmPhase::Stopped | VmPhase::Waiting, true, None) => Step::Move(VmEvent::Start, None),
        (VmPhase::Waiting, true, Some(_)) => Step::Rest,
        (VmPhase::Stopped, true, Some(why)) => {
            Step::Move(VmEvent::ImageNotReady, Some(why.clone()))
        }
        (VmPhase::Starting, ..) if status.process.is_some() => ended(status, seen),
        (VmPhase::Starting, false, _) => Step::Ended(VmEvent::Exited, ExitCause::Stopped),
        (VmPhase::Starting, true, Some(why)) => {
            Step::Move(VmEvent::ImageNotReady, Some(why.clone()))
        }
        (VmPhase::Starting, true, None) => Step::Launch,
        (VmPhase::Running | VmPhase::Paused | VmPhase::Stopping, ..) => ended(status, seen),
    }
}

/// Why there is no process any more.
fn ended(status: &VmStatus, seen: &Observed) -> Step {
    let (event, cause) = if has(status, GUEST_PANIC) {
        (VmEvent::Crashed, ExitCause::GuestPanic)
    } else if has(status, KILL_ASKED) {
        (VmEvent::Exited, ExitCause::Killed)
    } else if has(status, DEADLINE_PASSED) {
        (VmEvent::Exited, ExitCause::DeadlinePassed)
    } else if has(status, GUEST_SHUTDOWN) {
        (VmEvent::Exited, ExitCause::GuestShutdown)
    } else if !seen.same_boot {
        (VmEvent::Exited, ExitCause::HostRebooted)
    } else {
        match status.phase {
            VmPhase::Stopping => (VmEvent::Exited, ExitCause::Stopped),
            VmPhase::Starting => (VmEvent::StartFailed, ExitCause::StartFailed),
            _ => (VmEvent::Crashed, ExitCause::EngineDied),
        }
    };
    Step::Ended(event, cause)
}

fn present(
    phase: VmPhase,
    spec: &VmSpec,
    status: &VmStatus,
    seen: &Observed,
    guest: Option<&Guest>,
) -> Step {
    if phase == VmPhase::Stopping {
        return stopping(status, seen, guest);
    }
    let Some(guest) = guest else {
        // Not answering: it may be stopped or killed, otherwise it is asked again.
        return if spec.power == Power::Off {
            Step::Move(VmEvent::Stop, None)
        } else {
            Step::LookAgain
        };
    };
    if phase == VmPhase::Starting {
        return Step::Move(VmEvent::Up, None);
    }
    match guest {
        Guest::ShutDown if spec.restarts > status.restarts_done => {
            return Step::Move(VmEvent::Stop, None);
        }
        Guest::ShutDown => return Step::NoteShutdown,
        Guest::Panicked if !has(status, GUEST_PANIC) => return Step::Mark(GUEST_PANIC),
        Guest::Panicked => return Step::Kill,
        _ => {}
    }
    if spec.power == Power::Off || spec.restarts > status.restarts_done {
        return Step::Move(VmEvent::Stop, None);
    }
    if !seen.media_right {
        return Step::Media;
    }
    halting(phase, spec.power, status, guest)
}

/// Brings halted and running to what is wanted.
fn halting(phase: VmPhase, power: Power, status: &VmStatus, guest: &Guest) -> Step {
    match (phase, power, guest) {
        (VmPhase::Running, Power::Paused, Guest::Running)
        | (VmPhase::Paused, Power::Paused, Guest::Running) => Step::Pause,
        (VmPhase::Running, Power::Paused, Guest::Paused) => Step::Move(VmEvent::Paused, None),
        (VmPhase::Running | VmPhase::Paused, Power::On, Guest::Paused) => Step::Resume,
        (VmPhase::Paused, Power::On, Guest::Running) => Step::Move(VmEvent::Resumed, None),
        (VmPhase::Running, _, Guest::Stuck(why)) => Step::Move(VmEvent::Paused, Some(why.clone())),
        // Its reason is taken away when somebody resumes it.
        (VmPhase::Paused, Power::On, Guest::Stuck(_)) if status.reason.is_none() => Step::Resume,
        _ => Step::Rest,
    }
}

fn stopping(status: &VmStatus, seen: &Observed, guest: Option<&Guest>) -> Step {
    let overdue = seen.shutdown == Shutdown::Overdue;
    match guest {
        Some(Guest::ShutDown) => Step::Quit,
        Some(Guest::Panicked) if !has(status, GUEST_PANIC) => Step::Mark(GUEST_PANIC),
        Some(Guest::Panicked) => Step::Kill,
        _ if has(status, DEADLINE_PASSED) => Step::Kill,
        _ if overdue => Step::Mark(DEADLINE_PASSED),
        None => Step::LookAgain,
        Some(Guest::Paused) => Step::Resume,
        Some(Guest::Running | Guest::Stuck(_)) if seen.shutdown == Shutdown::NotAsked => {
            Step::AskShutdown
        }
        Some(Guest::Running | Guest::Stuck(_)) => Step::Rest,
    }
}

/// Whether the status carries a mark.
#[must_use]
pub fn has(status: &VmStatus, mark: &str) -> bool {
    status
        .conditions
        .iter()
        .any(|condition| condition.name == mark)
}

#[cfg(test)]
mod tests;
