//! The life of an image: one table, `phase × event → phase`.
//!
//! ```text
//!              writer-seen                  check-passed
//!   (any) ───────────────▶ arriving ─▶ checking ─────────▶ ready
//!                             settled     │ check-failed    │
//!                                         ▼                 │ check-requested
//!                                      damaged ◀────────────┘ (back to checking)
//!   (any) ── unreadable ─▶ unreadable     (any) ── vanished ─▶ missing
//!
//!   arriving ── …-begun ─▶ uploading, downloading, converting, encrypting, decrypting, exporting
//!                             │ made                    │ making-failed
//!                             ▼                         ▼            (…-begun: tried again)
//!                          checking                   failed ────────▶ …
//!   ready, damaged, unreadable, checking ── trashed ─▶ trashed ── restored ─▶ checking
//! ```
//!
//! An image *in the making* is in the library from its first byte on, but nothing lies at its place
//! yet. When it is whole, its file takes its place, and it is checked like any other.

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
    /// In the making: bytes come through the API, now or when the client goes on.
    Uploading,
    /// In the making: bytes are fetched from a URL.
    Downloading,
    /// In the making: another image is being written in another format.
    Converting,
    /// In the making: another image is being encrypted.
    Encrypting,
    /// In the making: another image is being decrypted.
    Decrypting,
    /// In the making: a VM's disk is being written as an image.
    Exporting,
    /// Whole by all appearance; its content is being looked at and hashed.
    Checking,
    /// Whole and understood.
    Ready,
    /// Not whole, not consistent, or not to be trusted: see the reason.
    Damaged,
    /// There, but it cannot be read: see the reason.
    Unreadable,
    /// It could not be made: see the reason. Try again, or delete it.
    Failed,
    /// Deleted, and kept for a while in which that can be undone.
    Trashed,
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
    /// The file is no longer there; of one in the making: it was cancelled or expired.
    Vanished,
    /// A client announced a file; nothing of it is there yet.
    UploadBegun,
    /// It is to be fetched from a URL.
    DownloadBegun,
    /// It is to be written from another image.
    ConvertBegun,
    /// It is to be another image, encrypted.
    EncryptBegun,
    /// It is to be another image, decrypted.
    DecryptBegun,
    /// It is to be a VM's disk.
    ExportBegun,
    /// It is whole, and its file has taken its place.
    Made,
    /// It cannot be made, or not now: what stopped it is in the reason.
    MakingFailed,
    /// Its file was put away, to be deleted later.
    Trashed,
    /// Its file is back at its place.
    Restored,
}

impl ImageEvent {
    /// Every event.
    pub const ALL: [Self; 17] = [
        Self::WriterSeen,
        Self::Settled,
        Self::CheckPassed,
        Self::CheckFailed,
        Self::CheckRequested,
        Self::Unreadable,
        Self::Vanished,
        Self::UploadBegun,
        Self::DownloadBegun,
        Self::ConvertBegun,
        Self::EncryptBegun,
        Self::DecryptBegun,
        Self::ExportBegun,
        Self::Made,
        Self::MakingFailed,
        Self::Trashed,
        Self::Restored,
    ];
}

impl ImagePhase {
    /// Every phase.
    pub const ALL: [Self; 14] = [
        Self::Arriving,
        Self::Uploading,
        Self::Downloading,
        Self::Converting,
        Self::Encrypting,
        Self::Decrypting,
        Self::Exporting,
        Self::Checking,
        Self::Ready,
        Self::Damaged,
        Self::Unreadable,
        Self::Failed,
        Self::Trashed,
        Self::Missing,
    ];

    /// The table. `None`: this cannot happen in this phase.
    #[must_use]
    pub const fn after(self, event: ImageEvent) -> Option<Self> {
        use ImageEvent as E;
        match (self, event) {
            (_, E::Vanished) => Some(Self::Missing),
            (Self::Arriving, E::UploadBegun) => Some(Self::Uploading),
            (Self::Arriving | Self::Failed, E::DownloadBegun) => Some(Self::Downloading),
            (Self::Arriving | Self::Failed, E::ConvertBegun) => Some(Self::Converting),
            (Self::Arriving | Self::Failed, E::EncryptBegun) => Some(Self::Encrypting),
            (Self::Arriving | Self::Failed, E::DecryptBegun) => Some(Self::Decrypting),
            (Self::Arriving | Self::Failed, E::ExportBegun) => Some(Self::Exporting),
            (making, E::Made) if making.is_making() => Some(Self::Checking),
            (making, E::MakingFailed) if making.is_making() => Some(Self::Failed),
            // Nothing of its own lies at its place: what happens there is not about it.
            (elsewhere, _) if !elsewhere.has_place() => match (elsewhere, event) {
                (Self::Trashed, E::Restored) => Some(Self::Checking),
                _ => None,
            },
            (_, E::WriterSeen) => Some(Self::Arriving),
            (Self::Missing, _) => None,
            (_, E::Unreadable) => Some(Self::Unreadable),
            (Self::Arriving, E::Settled) => Some(Self::Checking),
            (Self::Checking, E::CheckPassed) => Some(Self::Ready),
            (Self::Checking, E::CheckFailed) => Some(Self::Damaged),
            (Self::Ready | Self::Damaged | Self::Unreadable, E::CheckRequested) => {
                Some(Self::Checking)
            }
            (Self::Checking | Self::Ready | Self::Damaged | Self::Unreadable, E::Trashed) => {
                Some(Self::Trashed)
            }
            _ => None,
        }
    }

    /// Whether it is being made by Kinglet: its bytes lie aside, and nothing of it is at its place.
    #[must_use]
    pub const fn is_making(self) -> bool {
        matches!(
            self,
            Self::Uploading
                | Self::Downloading
                | Self::Converting
                | Self::Encrypting
                | Self::Decrypting
                | Self::Exporting
        )
    }

    /// Whether what lies at its place in the folder is, or was, its own file.
    #[must_use]
    pub const fn has_place(self) -> bool {
        !self.is_making() && !matches!(self, Self::Failed | Self::Trashed)
    }

    /// Whether it becomes something else by itself before long: no need to ask anybody.
    #[must_use]
    pub const fn is_on_its_way(self) -> bool {
        self.is_making() || matches!(self, Self::Arriving | Self::Checking)
    }

    /// What is being done, to stand after "it is" or "it is still being"; `None` where nothing is.
    #[must_use]
    pub const fn doing(self) -> Option<&'static str> {
        match self {
            Self::Uploading => Some("uploaded"),
            Self::Downloading => Some("downloaded"),
            Self::Converting => Some("converted"),
            Self::Encrypting => Some("encrypted"),
            Self::Decrypting => Some("decrypted"),
            Self::Exporting => Some("exported"),
            Self::Checking => Some("checked"),
            _ => None,
        }
    }

    /// The name used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Arriving => "arriving",
            Self::Uploading => "uploading",
            Self::Downloading => "downloading",
            Self::Converting => "converting",
            Self::Encrypting => "encrypting",
            Self::Decrypting => "decrypting",
            Self::Exporting => "exporting",
            Self::Checking => "checking",
            Self::Ready => "ready",
            Self::Damaged => "damaged",
            Self::Unreadable => "unreadable",
            Self::Failed => "failed",
            Self::Trashed => "trashed",
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
arriving: arriving checking - - - unreadable missing uploading downloading converting encrypting decrypting exporting - - - -
uploading: - - - - - - missing - - - - - - checking failed - -
downloading: - - - - - - missing - - - - - - checking failed - -
converting: - - - - - - missing - - - - - - checking failed - -
encrypting: - - - - - - missing - - - - - - checking failed - -
decrypting: - - - - - - missing - - - - - - checking failed - -
exporting: - - - - - - missing - - - - - - checking failed - -
checking: arriving - ready damaged - unreadable missing - - - - - - - - trashed -
ready: arriving - - - checking unreadable missing - - - - - - - - trashed -
damaged: arriving - - - checking unreadable missing - - - - - - - - trashed -
unreadable: arriving - - - checking unreadable missing - - - - - - - - trashed -
failed: - - - - - - missing - downloading converting encrypting decrypting exporting - - - -
trashed: - - - - - - missing - - - - - - - - - checking
missing: arriving - - - - - missing - - - - - - - - - -
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

    #[test]
    fn what_is_made_is_whole_or_failed_and_nothing_at_its_place_touches_it() {
        for phase in ImagePhase::ALL
            .into_iter()
            .filter(|phase| phase.is_making())
        {
            let leads: Vec<_> = ImageEvent::ALL
                .into_iter()
                .filter_map(|event| phase.after(event))
                .collect();
            let (missing, checking, failed) = (
                ImagePhase::Missing,
                ImagePhase::Checking,
                ImagePhase::Failed,
            );
            assert_eq!(leads, [missing, checking, failed]);
        }
    }
}
