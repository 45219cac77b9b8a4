//! What an image went through.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ImagePhase;

/// Changes of phase that are kept with an image.
pub const KEPT: usize = 24;

/// A change of phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PhaseChange {
    /// The phase that it came to.
    pub phase: ImagePhase,
    /// When, by the host's clock. For people; never compared.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Why, where that needed words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
