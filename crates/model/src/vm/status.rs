//! What a VM is right now.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::VmPhase;
use crate::image::Format;
use crate::{ActionState, Condition, Id, Progress, Size};

/// What a VM is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VmStatus {
    /// Where it is in its life.
    pub phase: VmPhase,
    /// Why it is in that phase, where that needs words (waiting, failed).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Long work on it. Never stored.
    #[serde(default)]
    pub progress: Option<Progress>,
    /// The engine that it got, and why. Absent before its first start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    /// Its disks in the order in which the guest sees them, with the format recorded when each image
    /// was checked. Never detected again.
    #[serde(default)]
    pub disks: Vec<AttachedDisk>,
    /// The process that runs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessIdentity>,
    /// The value of `spec.restarts` that its process was started for.
    #[serde(default)]
    pub restarts_done: u32,
    /// The guest's hardware address on the network, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// The guest's vsock address, where the host has vsock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vsock_cid: Option<u32>,
    /// How it ended last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// What else is true of it.
    #[serde(default)]
    pub conditions: Vec<Condition>,
    /// What may be done with it now. Filled in when it is sent, never stored.
    #[serde(default)]
    pub actions: Vec<ActionState>,
}

/// The engine that runs a VM, and why it was chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Engine {
    /// Its name: `qemu`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What executes the guest's instructions.
    pub accelerator: Accelerator,
    /// Why this engine and accelerator, in a sentence.
    pub why: String,
    /// How well the guest is kept from the host.
    pub isolation: Isolation,
}

/// What executes a guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Accelerator {
    /// The CPU, by KVM.
    Kvm,
    /// QEMU's translator.
    Tcg,
}

/// How well a guest is kept from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// By hardware virtualisation.
    Hardware,
    /// By an emulator that makes no promise of security: run only guests that you trust.
    None,
}

/// A disk of a VM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttachedDisk {
    /// `root`, `seed`, or the further disk's name.
    pub name: String,
    /// The image behind it, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Id>,
    /// The image's format as recorded when it was checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_format: Option<Format>,
    /// Bytes that the guest sees.
    pub size: Size,
    /// Whether the guest can only read it.
    pub read_only: bool,
}

/// Which process it is, so that it is found again after the daemon was restarted, and never another
/// that happens to have its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessIdentity {
    /// The process number.
    pub pid: u32,
    /// Its start, in clock ticks since boot (`/proc/PID/stat`, field 22).
    pub start_ticks: u64,
    /// The boot that it belongs to (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
}

/// How a VM ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exit {
    /// What ended it.
    pub cause: ExitCause,
    /// A sentence with the particulars.
    pub message: String,
    /// When, for people.
    #[schema(value_type = String, format = DateTime)]
    pub at: jiff::Timestamp,
}

/// What ended a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExitCause {
    /// The guest shut itself down.
    GuestShutdown,
    /// It was asked to stop and did.
    Stopped,
    /// It was asked to stop, its deadline passed, and it was killed.
    DeadlinePassed,
    /// It was killed on request.
    Killed,
    /// It could not be started.
    StartFailed,
    /// The guest panicked.
    GuestPanic,
    /// Its engine ended by itself or was killed by somebody else.
    EngineDied,
    /// The host was rebooted under it.
    HostRebooted,
}

/// What a VM uses right now. Sent live, never stored. Rates are per second over the last sample.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VmUsage {
    /// CPUs busy on its behalf, from 0 to its vCPUs and a little more for its devices.
    pub cpu: f64,
    /// CPU time used since its start, in milliseconds.
    pub cpu_time_ms: u64,
    /// Host memory that its process holds (Pss where readable, else Rss).
    pub memory: Size,
    /// Guest memory after what the balloon took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balloon: Option<Size>,
    /// Bytes read from its disks since its start.
    pub disk_read: u64,
    /// Bytes written to its disks since its start.
    pub disk_written: u64,
    /// Bytes a second read from its disks.
    pub disk_read_rate: u64,
    /// Bytes a second written to its disks.
    pub disk_write_rate: u64,
    /// Bytes received by the guest since its start. Absent where the network kind cannot tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net_received: Option<u64>,
    /// Bytes sent by the guest since its start. Absent where the network kind cannot tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net_sent: Option<u64>,
    /// Bytes a second received by the guest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net_receive_rate: Option<u64>,
    /// Bytes a second sent by the guest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net_send_rate: Option<u64>,
}
