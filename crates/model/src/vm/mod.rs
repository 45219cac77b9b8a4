//! A virtual machine: what is wanted, and what is.

pub mod action;
pub mod phase;
pub mod publish;
pub mod spec;
pub mod status;

pub use action::VmAction;
pub use phase::{VmEvent, VmPhase};
pub use publish::Publish;
pub use spec::{
    AcceleratorChoice, Boot, DataDisk, EngineChoice, Firmware, Network, NetworkMode, Power, Seed,
    VmSpec,
};
pub use status::{
    Accelerator, AttachedDisk, Engine, Exit, ExitCause, Isolation, ProcessIdentity, VmStatus,
    VmUsage,
};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::ProblemKind;
use crate::{ActionState, Metadata, Problem, Progress, Resource};

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Vm {
    /// Always `Vm`.
    #[schema(example = "Vm")]
    pub kind: String,
    /// Who it is.
    pub metadata: Metadata,
    /// What is wanted.
    pub spec: VmSpec,
    /// What is.
    pub status: VmStatus,
}

impl Resource for Vm {
    const KIND: &'static str = "Vm";
    const PLURAL: &'static str = "vms";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }
}

impl Vm {
    /// Whether `action` is possible now; if not, the refusal as it is sent (409).
    pub fn permit(&self, action: VmAction) -> Result<(), Problem> {
        action.verdict(self).map_err(|reason| {
            Problem::new(
                ProblemKind::Refused,
                "vm-state",
                format!(
                    "Cannot {} VM {}: {reason}.",
                    action.verb(),
                    self.metadata.name
                ),
            )
            .with_state(self.status.phase.as_str(), self.actions())
        })
    }

    /// Every action with its verdict.
    #[must_use]
    pub fn actions(&self) -> Vec<ActionState> {
        VmAction::ALL
            .iter()
            .map(|action| ActionState::new(action.as_str(), action.verdict(self)))
            .collect()
    }

    /// This object as it is sent: with its progress and its actions.
    #[must_use]
    pub fn presented(mut self, progress: Option<Progress>) -> Self {
        self.status.actions = self.actions();
        self.status.progress = progress;
        self
    }

    /// This object as it is stored: without what is derived or live.
    #[must_use]
    pub fn stored(mut self) -> Self {
        self.status.actions.clear();
        self.status.progress = None;
        self
    }

    /// Moves to the phase that `event` leads to; `false`, and nothing changed, where the table has no
    /// such row.
    #[must_use]
    pub fn apply(&mut self, event: VmEvent) -> bool {
        match self.status.phase.after(event) {
            Some(next) => {
                self.status.phase = next;
                true
            }
            None => false,
        }
    }
}
