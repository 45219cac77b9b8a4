//! What may be done with a VM: one table, `phase × action → verdict`. The only place that decides it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Vm, VmPhase};

/// Something that can be done with a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VmAction {
    /// Switch it on.
    Start,
    /// Ask the guest to shut down; kill it when its deadline passes.
    Stop,
    /// Stop, then start.
    Restart,
    /// Halt the guest between two instructions.
    Pause,
    /// Let it go on.
    Resume,
    /// End it at once, as if the plug were pulled.
    Kill,
    /// Type on its serial console.
    Console,
    /// Put a disc in its CD-ROM drive.
    InsertMedia,
    /// Take the disc out.
    EjectMedia,
    /// Remove it and its disks.
    Delete,
}

impl VmAction {
    /// Every action, in the order in which they are offered.
    pub const ALL: [Self; 10] = [
        Self::Start,
        Self::Stop,
        Self::Restart,
        Self::Pause,
        Self::Resume,
        Self::Kill,
        Self::Console,
        Self::InsertMedia,
        Self::EjectMedia,
        Self::Delete,
    ];

    /// The name used in JSON and in URLs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Kill => "kill",
            Self::Console => "console",
            Self::InsertMedia => "insert-media",
            Self::EjectMedia => "eject-media",
            Self::Delete => "delete",
        }
    }

    /// What it does, to stand between "Cannot" and "VM X".
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Console => "type on the console of",
            Self::InsertMedia => "insert a disc into",
            Self::EjectMedia => "eject the disc of",
            other => other.as_str(),
        }
    }

    /// The verdict: possible now, or why not.
    pub fn verdict(self, vm: &Vm) -> Result<(), String> {
        use VmPhase as P;
        let phase = vm.status.phase;
        match (self, phase) {
            (_, P::Deleting) => Err("it is being deleted".to_owned()),
            (Self::Start, P::Stopped | P::Failed) => Ok(()),
            (Self::Start, P::Waiting) => Err("it already waits for its image".to_owned()),
            (Self::Stop, P::Waiting | P::Starting | P::Running | P::Paused) => Ok(()),
            (Self::Restart | Self::Pause, P::Running)
            | (Self::Restart | Self::Resume, P::Paused) => Ok(()),
            (Self::Kill, phase) if phase.has_process() => Ok(()),
            (Self::Console, P::Starting | P::Running | P::Paused | P::Stopping) => Ok(()),
            (Self::InsertMedia, P::Starting | P::Stopping) => Err(format!("it is {phase}")),
            (Self::InsertMedia, _) => Ok(()),
            (Self::EjectMedia, P::Starting | P::Stopping) => Err(format!("it is {phase}")),
            (Self::EjectMedia, _) if vm.spec.media.is_none() => {
                Err("its drive is empty".to_owned())
            }
            (Self::EjectMedia, _) => Ok(()),
            (Self::Delete, P::Stopped | P::Failed | P::Waiting) => Ok(()),
            (Self::Delete, _) => Err(format!("it is {phase}; stop it first")),
            (_, P::Stopped) => Err("it is not running".to_owned()),
            (_, phase) => Err(format!("it is {phase}")),
        }
    }
}
