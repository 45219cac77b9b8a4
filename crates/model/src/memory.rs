//! The host's memory: what is wanted of swap and zram, what is, how tight it is, and whether one more
//! VM fits. Phases and actions of the swap file are one table each, like those of images and VMs.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{ActionState, Size};

/// What is wanted of the host's swap file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SwapSpec {
    /// Whether there shall be one.
    pub enabled: bool,
    /// Its size; cut to whole pages. The first page holds the header.
    pub size: Size,
    /// Where it lies, as an absolute path. Absent: on the data folder's file system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// 0 to 32767; swap of a higher priority is used first. Absent: the kernel's choice, below all
    /// that were given one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
    /// Whether the host switches it on when it boots, also without Kinglet.
    pub persistent: bool,
}

/// What the host's swap is. Each thing is told separately: a file that exists is not swap that is on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SwapStatus {
    /// Where the swap file is in its life.
    pub phase: SwapPhase,
    /// The file's path: of the one that is on, else of the one that exists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Whether the file exists.
    pub file_exists: bool,
    /// The file's size.
    pub file_size: Size,
    /// Whether the kernel swaps to it now.
    pub active: bool,
    /// Whether the host will switch it on when it boots, also without Kinglet.
    pub persistent: bool,
    /// What the host boots with, and so where the entry is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub boots_with: Option<BootManager>,
    /// What can be swapped to it.
    pub size: Size,
    /// What is swapped to it.
    pub used: Size,
    /// Its priority as the kernel tells it; negative where none was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Swap that Kinglet did not make and never touches.
    pub others: Vec<SwapDevice>,
    /// Processes that have most in swap, the largest first.
    pub users: Vec<SwapUser>,
    /// What the file's place means for a flash card, where it lies on one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wear: Option<FlashWear>,
    /// What may be done.
    pub actions: Vec<ActionState>,
}

/// What a host boots with, and so what switches swap on before Kinglet runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BootManager {
    /// systemd: a `.swap` unit.
    Systemd,
    /// BusyBox's init (Alpine, Buildroot …): a line of `/etc/inittab`.
    Inittab,
    /// Any other: a line of `/etc/fstab`, for its `swapon -a`.
    Fstab,
}

/// A line of `/proc/swaps`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SwapDevice {
    /// The file or device.
    pub path: String,
    /// `file`, `partition` …
    pub kind: String,
    /// What can be swapped to it.
    pub size: Size,
    /// What is swapped to it.
    pub used: Size,
    /// Its priority.
    pub priority: i32,
}

/// A process that has memory in swap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct SwapUser {
    /// Its number.
    pub pid: u32,
    /// The VM's name where it is one of Kinglet's, else the process's.
    pub name: String,
    /// What of it is in swap (`VmSwap`; shared memory is not counted by the kernel).
    pub swapped: Size,
}

/// What swapping does to the flash that the file lies on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FlashWear {
    /// What kind of flash.
    pub kind: FlashKind,
    /// The disk's name in `/sys/block`.
    pub device: String,
    /// The disk's size.
    pub capacity: Size,
    /// Bytes swapped out a day since boot, by all swap together (zram included: an upper bound).
    pub written_per_day: Size,
    /// Share of its life that the device says is used, in percent, in steps of 10. Absent where it
    /// does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub life_used: Option<u8>,
    /// What that means, in a sentence.
    pub note: String,
}

/// A kind of flash that swapping wears out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FlashKind {
    /// Soldered flash with a controller.
    Emmc,
    /// A memory card.
    Sd,
    /// A stick or disk on USB.
    Usb,
}

/// Where the swap file is in its life. Derived from what is seen, never stored:
///
/// ```text
///  no kernel support or right ─▶ unavailable
///  otherwise, by (file exists, active, persistent) beside what is wanted:
///    nothing of it and none wanted ─▶ off      all of what is wanted ─▶ on      else ─▶ partial
///  while a change is under way ─▶ changing
/// ```
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
pub enum SwapPhase {
    /// There is none, and none is wanted.
    #[default]
    Off,
    /// It is as wanted.
    On,
    /// Something of it is missing or left over: repair brings it to what is wanted.
    Partial,
    /// It is being made, resized, moved or taken away.
    Changing,
    /// This kernel has no swap, or Kinglet may not use it.
    Unavailable,
}

/// What was seen of the swap file, from which its phase follows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SwapFacts {
    /// The kernel has swap and Kinglet may switch it.
    pub supported: bool,
    /// A change is under way.
    pub changing: bool,
    /// The file exists.
    pub exists: bool,
    /// The kernel swaps to it.
    pub active: bool,
    /// The host boots with it.
    pub persistent: bool,
    /// Exactly what is wanted is there, and nothing else of Kinglet's.
    pub as_wanted: bool,
}

impl SwapPhase {
    /// Every phase.
    pub const ALL: [Self; 5] = [
        Self::Off,
        Self::On,
        Self::Partial,
        Self::Changing,
        Self::Unavailable,
    ];

    /// The phase that follows from what was seen.
    #[must_use]
    pub const fn of(facts: SwapFacts) -> Self {
        match facts {
            SwapFacts {
                supported: false, ..
            } => Self::Unavailable,
            SwapFacts { changing: true, .. } => Self::Changing,
            SwapFacts {
                as_wanted: false, ..
            } => Self::Partial,
            SwapFacts { active: true, .. } => Self::On,
            SwapFacts { exists: true, .. }
            | SwapFacts {
                persistent: true, ..
            } => Self::Partial,
            _ => Self::Off,
        }
    }

    /// The name used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::On => "on",
            Self::Partial => "partial",
            Self::Changing => "changing",
            Self::Unavailable => "unavailable",
        }
    }

    /// What may be done in this phase, each with the reason where not.
    #[must_use]
    pub fn actions(self) -> Vec<ActionState> {
        SwapAction::ALL
            .iter()
            .map(|action| {
                ActionState::new(action.as_str(), action.verdict(self).map_err(str::to_owned))
            })
            .collect()
    }
}

impl fmt::Display for SwapPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something that can be done with the swap file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SwapAction {
    /// Switch it on, or give it another size, place or priority.
    Set,
    /// Bring it back to what is wanted.
    Repair,
    /// Switch it off and remove the file.
    Off,
}

impl SwapAction {
    /// Every action, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Set, Self::Repair, Self::Off];

    /// The name used in JSON and in URLs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Set => "set",
            Self::Repair => "repair",
            Self::Off => "off",
        }
    }

    /// The table: whether it may be done in this phase.
    ///
    /// # Errors
    /// Why not, as a sentence for a person.
    pub const fn verdict(self, phase: SwapPhase) -> Result<(), &'static str> {
        use SwapPhase as P;
        match (self, phase) {
            (_, P::Unavailable) => Err("This host's swap cannot be changed; see the doctor."),
            (_, P::Changing) => Err("The swap file is being changed; wait until that is done."),
            (Self::Set, P::Off | P::On | P::Partial) => Ok(()),
            (Self::Repair, P::Partial) => Ok(()),
            (Self::Repair, P::Off | P::On) => Err("Nothing is wrong with the swap file."),
            (Self::Off, P::On | P::Partial) => Ok(()),
            (Self::Off, P::Off) => Err("There is no swap file."),
        }
    }
}

/// What is wanted of zram: swap in compressed memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ZramSpec {
    /// Whether there shall be one.
    pub enabled: bool,
    /// How much may be swapped to it, before compression.
    pub size: Size,
    /// The compression algorithm, one of those that the kernel offers. Absent: the kernel's choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// 0 to 32767. Absent: 100, above any swap file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u16>,
}

/// What zram is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ZramStatus {
    /// Whether the kernel has zram ready.
    pub supported: bool,
    /// Why not, and what to do, where it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether Kinglet's device is swapped to.
    pub active: bool,
    /// Kinglet's device, such as `zram1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// How much may be swapped to it, before compression.
    pub size: Size,
    /// What is swapped to it, before compression.
    pub used: Size,
    /// Its priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// The algorithm in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// The algorithms that this kernel offers.
    pub algorithms: Vec<String>,
    /// What is stored, before compression.
    pub stored: Size,
    /// The same after compression.
    pub compressed: Size,
    /// Memory that it costs, with the allocator's loss.
    pub memory_cost: Size,
    /// `stored / memory_cost`: what one byte of memory holds. Absent while nothing is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// What could not be compressed.
    pub incompressible: Size,
    /// Whether this kernel can write idle pages back to a disk, and why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_back: Option<ActionState>,
}

/// Where the host's memory is. The parts add up to `total`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemoryUse {
    /// All memory.
    pub total: Size,
    /// What programs could still have; not a part, since most of the page cache is in it.
    pub available: Size,
    /// What each running VM holds.
    pub vms: Vec<VmMemory>,
    /// What Kinglet itself holds.
    pub daemon: Size,
    /// The page cache: dropped when memory is wanted.
    pub page_cache: Size,
    /// Shared memory and tmpfs, without what VMs hold of it.
    pub shared: Size,
    /// Other programs and the kernel.
    pub other: Size,
    /// What nobody uses.
    pub free: Size,
}

/// What a VM holds of the host's memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct VmMemory {
    /// Its name.
    pub name: String,
    /// Its share (Pss where readable, else Rss).
    pub held: Size,
}

/// How tight memory is, at one moment or over one step of a series. Sent live, never stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemorySample {
    /// Milliseconds since the host booted, at the end of the step.
    pub at_ms: u64,
    /// Memory that programs could still have (`MemAvailable`): the least of the step.
    pub available: Size,
    /// Swap in use: the most of the step.
    pub swap_used: Size,
    /// Bytes a second read back from swap.
    pub swap_in_rate: u64,
    /// Bytes a second written to swap.
    pub swap_out_rate: u64,
    /// Share of the step in which some task waited for memory, in percent. Absent without PSI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub some: Option<f32>,
    /// Share of the step in which all tasks waited for memory, in percent. Absent without PSI.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full: Option<f32>,
    /// Processes that the kernel killed for want of memory.
    pub oom_kills: u32,
}

/// How bad it is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmLevel {
    /// Worth knowing.
    Notice,
    /// Something will go wrong if it goes on.
    Warning,
    /// Something goes wrong now.
    Critical,
}

/// What an alarm is about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum AlarmKind {
    /// Swap has been in heavy use for a while.
    SwapUse,
    /// Tasks have been waiting for memory for a while.
    Pressure,
    /// The kernel killed a process for want of memory.
    OomKill,
    /// The VMs need more memory than the host has.
    TooSmall,
}

/// An alarm that is raised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MemoryAlarm {
    /// What it is about.
    pub kind: AlarmKind,
    /// How bad it is.
    pub level: AlarmLevel,
    /// What was seen, and the way out, for a person.
    pub message: String,
    /// When it got this level, in milliseconds since the host booted.
    pub since_ms: u64,
}

/// By which rule a VM's memory is weighed before it starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AdmissionPolicy {
    /// All memory of all VMs must fit the host's memory, with nothing swapped.
    Strict,
    /// Balloons, zram and half of the free swap count too; of what running VMs have not touched yet,
    /// half.
    #[default]
    Balanced,
    /// No VM is refused; the sum is shown.
    Off,
}

/// Whether a VM fits, with the sum written out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Admission {
    /// The rule that was applied.
    pub policy: AdmissionPolicy,
    /// Whether it may start.
    pub admitted: bool,
    /// What the VM needs: its memory and its engine's overhead.
    pub needed: Size,
    /// What there is for it, by this rule.
    pub room: Size,
    /// What lacks. 0 where it fits, also under `off`.
    pub lacking: Size,
    /// The sum, line by line; the lines add up to `room` (or to less than nothing, shown as 0).
    pub sum: Vec<AdmissionLine>,
    /// The same as a sentence.
    pub message: String,
}

/// A line of the sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AdmissionLine {
    /// What it is.
    pub label: String,
    /// Bytes, negative where it is taken away.
    pub bytes: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// supported changing exists active persistent as-wanted → phase; every combination that differs.
    const PHASES: &str = "\
...... unavailable
.cepaw unavailable
s....w off
sc...w changing
s..... partial
s.e..w partial
s...pw partial
s..a.w on
s.ea.w on
s.eapw on
s.eap. partial
sceapw changing
";

    #[test]
    fn phase_follows_from_what_is_seen() {
        for line in PHASES.lines() {
            let (seen, phase) = line.split_once(' ').unwrap();
            let has = |letter: char| seen.contains(letter);
            let facts = SwapFacts {
                supported: has('s'),
                changing: has('c'),
                exists: has('e'),
                active: has('a'),
                persistent: has('p'),
                as_wanted: has('w'),
            };
            assert_eq!(SwapPhase::of(facts).as_str(), phase, "{line}");
        }
    }

    const ACTIONS: &str = "\
off: set - -
on: set - off
partial: set repair off
changing: - - -
unavailable: - - -
";

    #[test]
    fn action_table_is_as_written() {
        let mut table = String::new();
        for phase in SwapPhase::ALL {
            let row: Vec<String> = phase
                .actions()
                .into_iter()
                .map(|state| {
                    if state.allowed {
                        state.name
                    } else {
                        "-".to_owned()
                    }
                })
                .collect();
            table.push_str(&format!("{phase}: {}\n", row.join(" ")));
        }
        assert_eq!(table, ACTIONS);
    }

    #[test]
    fn refused_actions_say_why() {
        for action in SwapPhase::ALL.iter().flat_map(|phase| phase.actions()) {
            assert_eq!(action.allowed, action.reason.is_none());
            assert!(action.reason.is_none_or(|reason| reason.ends_with('.')));
        }
    }

    #[test]
    fn spec_takes_sizes_as_text_and_writes_camel_case() {
        let spec: SwapSpec =
            serde_json::from_str(r#"{"enabled":true,"size":"1.5GiB","persistent":true}"#).unwrap();
        assert_eq!(spec.size, Size(3 << 29));
        assert_eq!(
            serde_json::to_value(SwapStatus::default()).unwrap()["fileExists"],
            false
        );
        assert!(serde_json::from_str::<SwapSpec>(r#"{"size":-1}"#).is_err());
    }
}
