//! What a scan of the watched folders came to.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The outcome of a scan of all watched folders, in numbers of files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RefreshReport {
    /// Images that are there.
    pub seen: u64,
    /// Of these, new since the last scan.
    pub added: u64,
    /// Of these, written to, replaced or renamed since the last scan.
    pub changed: u64,
    /// Images that were there and are not any more.
    pub vanished: u64,
    /// Files and sub-folders that could not be read.
    pub unreadable: u64,
    /// Symbolic links, pipes, sockets and devices, and what lies too deep: they are not followed or
    /// opened, and are no images.
    pub ignored: u64,
}
