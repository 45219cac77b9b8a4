//! The life of an image: one table, `phase × event → phase`.
//!
//! ```text
//!              writer-seen                  check-passed
//!   (any) ───────────────▶ arriving ─▶ checking ─────────▶ ready
//!                             settled     │ check-failed    │
//!                                         ▼                 │ check-requested
//!                                      damaged ◀────────────┘ (back to checking)
//!   (any) ── unreadable ─▶ unreadable     (any) ── vanished ─▶ missing
//!   arriving ── upload-begun ─▶ uploading ── upload-whole ─▶ checking
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where an image is in its life.
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
pub enum ImagePhase {
    /// Bytes are still coming: a writer has the file open, or it grew a moment ago.
    #[default]
    Arriving,
    /// Bytes come through the API, now or when the client goes on. There is no file at its place yet.
    Uploading,
    /// Whole by all appearance; its content is being looked at and hashed.
    Checking,
    /// Whole and understood.
    Ready,
    /// Not whole, not consistent, or not to be trusted: see the reason.
    Damaged,
    /// There, but it cannot be read: see the reason.
    Unreadable,
    /// The file is gone, but somebody still needs it.
    Missing,
}

/// What can happen to an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImageEvent {
    /// A writer has it open, or its size or time changed.
    WriterSeen,
    /// No writer is left and nothing moves.
    Settled,
    /// The check found it whole.
    CheckPassed,
    /// The check found it damaged.
    CheckFailed,
    /// Somebody asked to check it again.
    CheckRequested,
    /// Reading it failed (permissions, I/O error).
    Unreadable,
    /// The file is no longer there; of an upload: it was cancelled, failed or expired.
    Vanished,
    /// A client announced a file; nothing of it is there yet.
    UploadBegun,
    /// All bytes of an upload are there, and the file has taken its place.
    UploadWhole,
}

impl ImageEvent {
    /// Every event.
    pub const ALL: [Self; 9] = [
        Self::WriterSeen,
        Self::Settled,
        Self::CheckPassed,
        Self::CheckFailed,
        Self::CheckRequested,
        Self::Unreadable,
        Self::Vanished,
        Self::UploadBegun,
        Self::UploadWhole,
    ];
}

impl ImagePhase {
    /// Every phase.
    pub const ALL: [Self; 7] = [
        Self::Arriving,
        Self::Uploading,
        Self::Checking,
        Self::Ready,
        Self::Damaged,
        Self::Unreadable,
        Self::Missing,
    ];

    /// The table. `None`: this cannot happen in this phase.
    #[must_use]
    pub const fn after(self, event: ImageEvent) -> Option<Self> {
        use ImageEvent as E;
        match (self, event) {
            (_, E::Vanished) => Some(Self::Missing),
            (Self::Arriving, E::UploadBegun) => Some(Self::Uploading),
            (Self::Uploading, E::UploadWhole) => Some(Self::Checking),
            // Nothing lies at its place: what happens there is not its own.
            (Self::Uploading, _) => None,
            (_, E::WriterSeen) => Some(Self::Arriving),
            (Self::Missing, E::Unreadable) => None,
            (_, E::Unreadable) => Some(Self::Unreadable),
            (Self::Arriving, E::Settled) => Some(Self::Checking),
            (Self::Checking, E::CheckPassed) => Some(Self::Ready),
            (Self::Checking, E::CheckFailed) => Some(Self::Damaged),
            (Self::Ready | Self::Damaged | Self::Unreadable, E::CheckRequested) => {
                Some(Self::Checking)
            }
            _ => None,
        }
    }

    /// The name used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Arriving => "arriving",
            Self::Uploading => "uploading",
            Self::Checking => "checking",
            Self::Ready => "ready",
            Self::Damaged => "damaged",
            Self::Unreadable => "unreadable",
            Self::Missing => "missing",
        }
    }
}

impl fmt::Display for ImagePhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The whole table, one line a phase, in the order of [`ImageEvent::ALL`]. A change of the table
    /// is a change of this text.
    const TABLE: &str = "\
arriving: arriving checking - - - unreadable missing uploading -
uploading: - - - - - - missing - checking
checking: arriving - ready damaged - unreadable missing - -
ready: arriving - - - checking unreadable missing - -
damaged: arriving - - - checking unreadable missing - -
unreadable: arriving - - - checking unreadable missing - -
missing: arriving - - - - - missing - -
";

    #[test]
    fn phase_table_is_as_written() {
        let mut table = String::new();
        for phase in ImagePhase::ALL {
            let row: Vec<&str> = ImageEvent::ALL
                .iter()
                .map(|event| phase.after(*event).map_or("-", ImagePhase::as_str))
                .collect();
            table.push_str(&format!("{phase}: {}\n", row.join(" ")));
        }
        assert_eq!(table, TABLE);
    }

    #[test]
    fn ready_is_reached_only_through_a_passed_check() {
        for phase in ImagePhase::ALL {
            for event in ImageEvent::ALL {
                if phase.after(event) == Some(ImagePhase::Ready) {
                    assert_eq!(
                        (phase, event),
                        (ImagePhase::Checking, ImageEvent::CheckPassed)
                    );
                }
            }
        }
    }
}
