//! What a person should know about memory, when, and the way out. A state machine without a clock:
//! samples in, changes out.

use kinglet_model::Size;
use kinglet_model::memory::{AlarmKind, AlarmLevel, MemoryAlarm, MemorySample};

use super::hold::{Hold, Lasting, reached};
use super::oom::Victim;

const KINDS: [AlarmKind; 4] = [
    AlarmKind::SwapUse,
    AlarmKind::Pressure,
    AlarmKind::OomKill,
    AlarmKind::TooSmall,
];

/// What beside the sample matters to alarms.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Situation {
    /// All memory of the host.
    pub memory_total: Size,
    /// Swap in all.
    pub swap_total: Size,
    /// What the running VMs can take: their memory and their engines' overhead.
    pub vms_need: Size,
    /// What of that they hold in memory now.
    pub vms_hold: Size,
    /// Who was killed since the last sample.
    pub victims: Vec<Victim>,
}

impl Situation {
    /// What the host lacks if every VM takes all that it was given.
    #[must_use]
    pub fn lacking(&self, available: Size) -> Size {
        let room = available.0.saturating_add(self.vms_hold.0);
        Size(self.vms_need.0.saturating_sub(room))
    }
}

/// A change of an alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AlarmChange {
    /// It is raised, or has another level.
    Raised(MemoryAlarm),
    /// It is over.
    Cleared(AlarmKind),
}

/// The alarms of a host.
#[derive(Debug, Clone, Default)]
pub struct Alarms {
    holds: [Hold; 4],
    messages: [String; 4],
}

impl Alarms {
    /// Takes a sample, and tells which alarms changed by it.
    pub fn observe(&mut self, sample: &MemorySample, situation: &Situation) -> Vec<AlarmChange> {
        let mut changes = Vec::new();
        for (index, kind) in KINDS.into_iter().enumerate() {
            let present = self.holds[index].level;
            let asked = asked(kind, sample, situation, present);
            let changed = self.holds[index].step(sample.at_ms, asked, lasting(kind));
            let level = self.holds[index].level;
            // An alarm that lasts only because of its hold keeps the figures that raised it.
            if let Some(level) = level.filter(|_| asked.is_some()) {
                self.messages[index] = message(kind, level, sample, situation);
            }
            if changed {
                changes.push(
                    self.raised_at(index)
                        .map_or(AlarmChange::Cleared(kind), AlarmChange::Raised),
                );
            }
        }
        changes
    }

    /// The alarms that are raised, the worst first.
    #[must_use]
    pub fn raised(&self) -> Vec<MemoryAlarm> {
        let mut raised: Vec<MemoryAlarm> = (0..KINDS.len())
            .filter_map(|index| self.raised_at(index))
            .collect();
        raised.sort_by_key(|alarm| std::cmp::Reverse(alarm.level));
        raised
    }

    fn raised_at(&self, index: usize) -> Option<MemoryAlarm> {
        Some(MemoryAlarm {
            kind: KINDS[index],
            level: self.holds[index].level?,
            message: self.messages[index].clone(),
            since_ms: self.holds[index].since_ms,
        })
    }
}

const fn lasting(kind: AlarmKind) -> Lasting {
    match kind {
        AlarmKind::SwapUse => Lasting {
            up: 60_000,
            down: 120_000,
        },
        AlarmKind::Pressure => Lasting {
            up: 20_000,
            down: 60_000,
        },
        // A kill is over at once; what it means is not.
        AlarmKind::OomKill => Lasting {
            up: 0,
            down: 600_000,
        },
        AlarmKind::TooSmall => Lasting {
            up: 30_000,
            down: 60_000,
        },
    }
}

fn asked(
    kind: AlarmKind,
    sample: &MemorySample,
    situation: &Situation,
    present: Option<AlarmLevel>,
) -> Option<AlarmLevel> {
    use AlarmLevel::{Critical, Notice, Warning};
    match kind {
        AlarmKind::SwapUse => {
            let moved = sample.swap_in_rate.saturating_add(sample.swap_out_rate) as f64;
            let mib = f64::from(1 << 20);
            // What is swapped out and stays there harms nobody; what goes to and fro does.
            let traffic = reached(moved, &[(Notice, mib), (Warning, 8.0 * mib)], present);
            let share = percent(sample.swap_used, situation.swap_total);
            let fill = if share >= 95.0 {
                Some(Critical)
            } else if share >= 80.0 || (share >= 75.0 && present >= Some(Warning)) {
                Some(Warning)
            } else {
                None
            };
            traffic.max(fill)
        }
        AlarmKind::Pressure => {
            let some = f64::from(sample.some.unwrap_or(0.0));
            let full = f64::from(sample.full.unwrap_or(0.0));
            let some = reached(some, &[(Notice, 5.0), (Warning, 20.0)], present);
            some.max(reached(full, &[(Warning, 10.0), (Critical, 30.0)], present))
        }
        AlarmKind::OomKill => {
            (sample.oom_kills > 0 || !situation.victims.is_empty()).then_some(Critical)
        }
        AlarmKind::TooSmall => {
            let suffers = sample.some.unwrap_or(0.0) >= 5.0 || sample.swap_out_rate > 0;
            let keeps = suffers || present >= Some(Warning);
            let lacks = situation.lacking(sample.available).0 > 0;
            lacks.then_some(if keeps { Warning } else { Notice })
        }
    }
}

fn message(
    kind: AlarmKind,
    level: AlarmLevel,
    sample: &MemorySample,
    situation: &Situation,
) -> String {
    match kind {
        AlarmKind::SwapUse => format!(
            "Swap is in heavy use: {} of {} are swapped, {} a second go out and {} a second come back. \
             Stop a VM, give one less memory, or add {}.",
            sample.swap_used,
            situation.swap_total,
            Size(sample.swap_out_rate),
            Size(sample.swap_in_rate),
            if level == AlarmLevel::Critical {
                "swap before it is full"
            } else {
                "memory"
            },
        ),
        AlarmKind::Pressure => format!(
            "Programs wait for memory {:.0} % of the time (all of them {:.0} %); {} of {} are available. \
             Stop a VM, give one less memory, or switch on zram or a swap file.",
            sample.some.unwrap_or(0.0),
            sample.full.unwrap_or(0.0),
            sample.available,
            situation.memory_total,
        ),
        AlarmKind::OomKill => killed(sample, situation),
        AlarmKind::TooSmall => format!(
            "This host is too small for these VMs: it lacks about {}. They may take {}, and {} are there \
             for them. Stop one, give one less memory, or add memory.",
            about(situation.lacking(sample.available)),
            situation.vms_need,
            Size(sample.available.0.saturating_add(situation.vms_hold.0)),
        ),
    }
}

fn killed(sample: &MemorySample, situation: &Situation) -> String {
    let mut names: Vec<String> = situation
        .victims
        .iter()
        .take(4)
        .map(|victim| format!("{} ({})", victim.name, victim.pid))
        .collect();
    if names.is_empty() {
        names.push(match sample.oom_kills {
            1 => "a process".to_owned(),
            count => format!("{count} processes"),
        });
    }
    let own_limit =
        !situation.victims.is_empty() && situation.victims.iter().all(|victim| victim.by_cgroup);
    let way_out = if own_limit {
        "It had reached the limit of its own group: raise that, or give what runs in it less to do."
    } else {
        "Stop a VM, give one less memory, or switch on zram or a swap file."
    };
    format!(
        "The kernel killed {} for want of memory. {way_out}",
        names.join(", ")
    )
}

/// Rounded up to tens of MiB: the figure is an estimate.
fn about(size: Size) -> Size {
    Size::mib(size.0.div_ceil(10 << 20).saturating_mul(10))
}

fn percent(part: Size, whole: Size) -> f64 {
    if whole.0 == 0 {
        return 0.0;
    }
    part.0 as f64 / whole.0 as f64 * 100.0
}
