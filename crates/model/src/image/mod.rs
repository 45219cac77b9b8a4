//! A disk image: a file in a watched folder, and what is known of it.

pub mod action;
pub mod encryption;
pub mod format;
pub mod history;
pub mod origin;
pub mod phase;
pub mod report;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use action::ImageAction;
pub use encryption::{Encryption, Keyslot, LuksVersion};
pub use format::{Compression, Format, PartitionTable};
pub use history::PhaseChange;
pub use origin::{ConvertOptions, Origin, UrlOrigin, WorkSource};
pub use phase::{ImageEvent, ImagePhase};
pub use report::RefreshReport;

use crate::{
    ActionState, Condition, Digest, Id, Metadata, Name, Problem, Progress, Resource, Size,
};

/// A disk image in the library.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Always `Image`.
    #[schema(example = "Image")]
    pub kind: String,
    /// Who it is.
    pub metadata: Metadata,
    /// What is wanted of it.
    pub spec: ImageSpec,
    /// What it is.
    pub status: ImageStatus,
}

impl Resource for Image {
    const KIND: &'static str = "Image";
    const PLURAL: &'static str = "images";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }
}

/// What is wanted of an image: to be the file at this place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageSpec {
    /// The watched folder's name: `images`, or as configured.
    pub folder: String,
    /// Where in that folder, with `/` between parts. Bytes that are not UTF-8 are shown as `\xNN`.
    #[schema(example = "debian/debian-12.qcow2")]
    pub path: String,
}

/// What is known of an image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageStatus {
    /// Where it is in its life.
    pub phase: ImagePhase,
    /// Why it is in that phase and what to do, where that needs words (damaged, unreadable, missing).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Long work on it. Never stored: laid over the stored object when it is sent.
    #[serde(default)]
    pub progress: Option<Progress>,
    /// Bytes in the file.
    pub file_size: Size,
    /// Bytes that the file takes on its disk (holes take none).
    pub allocated: Size,
    /// When the file was last written, by the host's clock, in nanoseconds since 1970.
    pub modified: i64,
    /// What it is, by its content. Absent until checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// The compression around it, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// Bytes of the disk that a guest sees. Absent where unknown (inside a compression).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_size: Option<Size>,
    /// How the disk is divided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partitions: Option<PartitionTable>,
    /// SHA-256 of the file. Absent until computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// Who needs it. While anybody does, it is not deleted.
    #[serde(default)]
    pub users: Vec<ImageUser>,
    /// What else is true of it: `verified`, `unverified`, `replaced`, `renamed` …
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// Its upload, where it came or comes as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
    /// Where it comes from, where Kinglet made or makes it: what a retry does again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Box<Origin>>,
    /// How it is encrypted, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption: Option<Box<Encryption>>,
    /// The phases that it went through of late, the newest last; at most [`history::KEPT`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<PhaseChange>,
    /// When a VM that uses it was last made, started or deleted. Absent: never, as far as is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_used: Option<jiff::Timestamp>,
    /// Until when its deletion can be undone, while it is in the trash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub trashed_until: Option<jiff::Timestamp>,
    /// What may be done with it now. Filled in when it is sent, never stored.
    #[serde(default)]
    pub actions: Vec<ActionState>,
    /// Which file, in which state, all this was learned from; the library compares it with the file
    /// instead of reading the file again. Stored, never sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(ignore)]
    pub fingerprint: Option<String>,
}

/// What a client announced of an upload. How much has come is told as progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Upload {
    /// Bytes in all.
    pub length: Size,
    /// The SHA-256 that the bytes must have, where the client said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// Whether it can go on after the connection was lost (tus); if not, it ends with it (plain PUT).
    pub resumable: bool,
}

/// Somebody who needs an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageUser {
    /// The user's kind: `Vm`.
    pub kind: String,
    /// The user.
    pub id: Id,
    /// The user's name.
    pub name: Name,
    /// For what: `disk`, `media`, `kernel`, `initrd`.
    pub role: String,
}

impl Image {
    /// A file just seen: arriving, nothing known yet.
    #[must_use]
    pub fn seen(name: Name, folder: &str, path: &str) -> Self {
        Self {
            kind: Self::KIND.to_owned(),
            metadata: Metadata::new(name),
            spec: ImageSpec {
                folder: folder.to_owned(),
                path: path.to_owned(),
            },
            status: ImageStatus::default(),
        }
    }

    /// Whether `action` is possible now; if not, the refusal as it is sent (409).
    pub fn permit(&self, action: ImageAction) -> Result<(), Problem> {
        action.verdict(&self.status).map_err(|reason| {
            Problem::new(
                crate::problem::ProblemKind::Refused,
                action.refusal_code(&self.status),
                format!(
                    "Cannot {} image {}: {reason}.",
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
        ImageAction::ALL
            .iter()
            .map(|action| ActionState::new(action.as_str(), action.verdict(&self.status)))
            .collect()
    }

    /// This object as it is sent: with its progress and its actions.
    #[must_use]
    pub fn presented(mut self, progress: Option<Progress>) -> Self {
        self.status.actions = self.actions();
        self.status.progress = progress;
        self.status.fingerprint = None;
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
    pub fn apply(&mut self, event: ImageEvent) -> bool {
        match self.status.phase.after(event) {
            Some(next) => {
                self.status.phase = next;
                true
            }
            None => false,
        }
    }
}
