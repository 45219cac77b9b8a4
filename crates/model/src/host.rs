//! The machine itself: what the doctor found, what it uses now.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Metadata, Resource, Size};

/// The machine that Kinglet runs on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Host {
    /// Always `Host`.
    #[schema(example = "Host")]
    pub kind: String,
    /// Who it is.
    pub metadata: Metadata,
    /// What is wanted of it: nothing yet.
    pub spec: HostSpec,
    /// What it is.
    pub status: HostStatus,
}

impl Resource for Host {
    const KIND: &'static str = "Host";
    const PLURAL: &'static str = "hosts";

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn metadata_mut(&mut self) -> &mut Metadata {
        &mut self.metadata
    }
}

/// What is wanted of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostSpec {}

/// What the host is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostStatus {
    /// Kinglet's version.
    pub version: String,
    /// The kernel's release.
    pub kernel: String,
    /// CPUs that may be used.
    pub cpus: u32,
    /// Memory in all.
    pub memory: Size,
    /// Where images are looked for: the folders to copy files to.
    pub image_folders: Vec<String>,
    /// What the doctor found.
    pub checks: Vec<Check>,
}

/// How a doctor's check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It works.
    Yes,
    /// It works with a limit that a person should know.
    Limited,
    /// It does not work.
    No,
}

/// One thing that the doctor proved, or found missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// A stable word: `kvm`, `qemu`, `ovmf`, `passt`, `inotify` …
    #[schema(example = "kvm")]
    pub name: String,
    /// What was looked at, in a few words for a person.
    pub title: String,
    /// How it came out.
    pub verdict: Verdict,
    /// What was seen.
    pub detail: String,
    /// What to do about it, where there is something to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What the machine uses right now. Sent live, never stored.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct HostUsage {
    /// CPUs busy, from 0 to the number of CPUs.
    pub cpu: f64,
    /// Memory in all.
    pub memory_total: Size,
    /// Memory that programs could still have (`MemAvailable`).
    pub memory_available: Size,
    /// Swap in all.
    pub swap_total: Size,
    /// Swap in use.
    pub swap_used: Size,
    /// Share of the last 10 s in which some task waited for memory (PSI `some avg10`, percent).
    /// Absent where the kernel has no PSI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_pressure: Option<f64>,
    /// Free space on the data folder's file system.
    pub data_free: Size,
}
