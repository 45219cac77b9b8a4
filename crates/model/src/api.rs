//! What the API takes and answers beside resources: bodies of requests, sessions, console frames.
//!
//! Here, because the server and its clients share them and never share anything else.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Name;
use crate::vm::VmSpec;

/// A VM to be made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewVm {
    /// Its name; one is made from the image's where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// Free marks for people and tools; at most 64.
    #[serde(default, deserialize_with = "crate::labels::bounded")]
    #[schema(value_type = BTreeMap<crate::labels::LabelKey, crate::labels::LabelValue>)]
    pub labels: BTreeMap<String, String>,
    /// What is wanted of it.
    #[serde(default)]
    pub spec: VmSpec,
}

/// A disc to be put into a VM's drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MediaRequest {
    /// The image's name or id.
    #[schema(example = "debian-12-netinst")]
    pub image: String,
}

/// What signs a browser in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignIn {
    /// A token that was never used before.
    pub token: String,
}

/// Who is signed in, and for how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionInfo {
    /// How the caller showed who it is.
    pub via: SessionKind,
    /// When the session ends if it is not used before. Absent where nothing ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires: Option<jiff::Timestamp>,
}

/// How a caller showed who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SessionKind {
    /// By reaching the unix socket, which only its owner can open.
    Socket,
    /// By the token in the daemon's token file.
    Token,
    /// By a browser's cookie.
    Cookie,
}

/// A token that signs one browser in, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct OneTimeToken {
    /// The token.
    pub token: String,
    /// The page's address with the token in its fragment. Absent where the daemon does not listen
    /// on TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "http://127.0.0.1:7480/#token=…")]
    pub url: Option<String>,
    /// For how long it can be used.
    pub expires_in_seconds: u64,
}

/// Whether the daemon works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Health {
    /// Always `ok`: a daemon that does not work answers with a problem.
    pub status: String,
    /// Kinglet's version.
    pub version: String,
}

/// A text frame that the server sends on a console's WebSocket. Binary frames are output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(
    tag = "type",
    rename_all = "kebab-case",
    rename_all_fields = "camelCase"
)]
pub enum ConsoleNotice {
    /// Where the next byte of output stands in all that the console ever said. Sent at the start,
    /// and when output was skipped.
    Offset {
        /// Bytes before it.
        offset: u64,
    },
    /// Whether this connection may type.
    Writer {
        /// It may.
        granted: bool,
        /// Why not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The console has ended: the VM is off.
    Ended,
}

/// A text frame that a client sends on a console's WebSocket. Binary frames are input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ConsoleRequest {
    /// Asks to type. One connection can at a time.
    Claim {
        /// Takes it from whoever has it.
        #[serde(default)]
        steal: bool,
    },
    /// Gives typing up.
    Release,
}
