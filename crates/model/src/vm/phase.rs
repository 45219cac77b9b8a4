//! The life of a VM: one table, `phase × event → phase`.
//!
//! ```text
//!            start                up              pause
//!  stopped ───────▶ starting ─────────▶ running ◀──────▶ paused
//!     ▲   ◀─────────┐  │ image not ready   │     resume     │
//!     │     stop    waiting                │ stop           │ stop
//!     │                                    ▼                │
//!     └──────────── exited ──────────── stopping ◀──────────┘
//!  crashed: starting, running, paused, stopping → failed → (start) starting
//!  delete: stopped, waiting, failed → deleting → gone
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where a VM is in its life.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum VmPhase {
    /// No process; its disks are at rest.
    #[default]
    Stopped,
    /// Wanted on, but an image that it needs is not ready yet.
    Waiting,
    /// Its engine is being started.
    Starting,
    /// The guest runs.
    Running,
    /// The guest is halted between two instructions.
    Paused,
    /// The guest was asked to shut down, or is being killed.
    Stopping,
    /// It could not start, or it ended by itself in a way that it should not: see the exit.
    Failed,
    /// Its process and disks are being removed.
    Deleting,
}

/// What can happen to a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum VmEvent {
    /// It is wanted on.
    Start,
    /// An image that it needs is not ready.
    ImageNotReady,
    /// The engine reports that the guest runs.
    Up,
    /// The engine could not be started.
    StartFailed,
    /// The guest was halted.
    Paused,
    /// The guest goes on.
    Resumed,
    /// It is wanted off.
    Stop,
    /// Its process ended as it should: guest shut down, or it was stopped.
    Exited,
    /// Its process ended as it should not.
    Crashed,
    /// It is to be removed with its disks.
    Delete,
}

impl VmEvent {
    /// Every event.
    pub const ALL: [Self; 10] = [
        Self::Start,
        Self::ImageNotReady,
        Self::Up,
        Self::StartFailed,
        Self::Paused,
        Self::Resumed,
        Self::Stop,
        Self::Exited,
        Self::Crashed,
        Self::Delete,
    ];
}

impl VmPhase {
    /// Every phase.
    pub const ALL: [Self; 8] = [
        Self::Stopped,
        Self::Waiting,
        Self::Starting,
        Self::Running,
        Self::Paused,
        Self::Stopping,
        Self::Failed,
        Self::Deleting,
    ];

    /// The table. `None`: this cannot happen in this phase.
    #[must_use]
    pub const fn after(self, event: VmEvent) -> Option<Self> {
        use VmEvent as E;
        match (self, event) {
            (Self::Stopped | Self::Waiting | Self::Failed, E::Start) => Some(Self::Starting),
            (Self::Stopped | Self::Starting | Self::Failed, E::ImageNotReady) => {
                Some(Self::Waiting)
            }
            (Self::Starting, E::Up) => Some(Self::Running),
            (Self::Starting, E::StartFailed) => Some(Self::Failed),
            (Self::Waiting, E::StartFailed) => Some(Self::Failed),
            (Self::Running, E::Paused) => Some(Self::Paused),
            (Self::Paused, E::Resumed) => Some(Self::Running),
            (Self::Waiting, E::Stop) => Some(Self::Stopped),
            (Self::Starting | Self::Running | Self::Paused, E::Stop) => Some(Self::Stopping),
            (Self::Starting | Self::Running | Self::Paused | Self::Stopping, E::Exited) => {
                Some(Self::Stopped)
            }
            (Self::Starting | Self::Running | Self::Paused | Self::Stopping, E::Crashed) => {
                Some(Self::Failed)
            }
            (Self::Stopped | Self::Waiting | Self::Failed, E::Delete) => Some(Self::Deleting),
            _ => None,
        }
    }

    /// Whether a process of it may exist.
    #[must_use]
    pub const fn has_process(self) -> bool {
        matches!(
            self,
            Self::Starting | Self::Running | Self::Paused | Self::Stopping | Self::Deleting
        )
    }

    /// The name used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopping => "stopping",
            Self::Failed => "failed",
            Self::Deleting => "deleting",
        }
    }
}

impl fmt::Display for VmPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table, one line a phase, in the order of [`VmEvent::ALL`].
    const TABLE: &str = "\
stopped: starting waiting - - - - - - - deleting
waiting: starting - - failed - - stopped - - deleting
starting: - waiting running failed - - stopping stopped failed -
running: - - - - paused - stopping stopped failed -
paused: - - - - - running stopping stopped failed -
stopping: - - - - - - - stopped failed -
failed: starting waiting - - - - - - - deleting
deleting: - - - - - - - - - -
";

    #[test]
    fn phase_table_is_as_written() {
        let mut table = String::new();
        for phase in VmPhase::ALL {
            let row: Vec<&str> = VmEvent::ALL
                .iter()
                .map(|event| phase.after(*event).map_or("-", VmPhase::as_str))
                .collect();
            table.push_str(&format!("{phase}: {}\n", row.join(" ")));
        }
        assert_eq!(table, TABLE);
    }

    #[test]
    fn deleting_has_no_way_back() {
        assert!(
            VmEvent::ALL
                .iter()
                .all(|event| VmPhase::Deleting.after(*event).is_none())
        );
    }
}
