//! What may be done with an object now, and why the rest may not.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One action of an object: possible now, or not and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActionState {
    /// The action's stable name.
    #[schema(example = "create-vm")]
    pub name: String,
    /// Whether it is possible now.
    pub allowed: bool,
    /// Why it is not, for a person. Absent when it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl ActionState {
    /// The state of `action`, given the verdict on it.
    #[must_use]
    pub fn new(action: &str, verdict: Result<(), String>) -> Self {
        let reason = verdict.err();
        Self {
            name: action.to_owned(),
            allowed: reason.is_none(),
            reason,
        }
    }
}
