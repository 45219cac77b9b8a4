//! Series and alarms, fed with made-up days.

use kinglet_model::Size;
use kinglet_model::memory::{AlarmKind, AlarmLevel, MemorySample};
use proptest::prelude::*;

use super::*;

fn at(second: u64) -> MemorySample {
    MemorySample {
        at_ms: second * 1000,
        available: Size::gib(1),
        ..MemorySample::default()
    }
}

#[test]
fn day_of_seconds_is_kept_at_three_resolutions() {
    let mut series = Series::default();
    for second in 0..90_000 {
        series.push(&MemorySample {
            swap_out_rate: second,
            oom_kills: u32::from(second == 89_000),
            ..at(second)
        });
    }
    for resolution in Resolution::ALL {
        let steps = series.since(resolution, 0);
        assert_eq!(steps.len(), resolution.steps(), "{resolution:?}");
        assert!(steps.is_sorted_by_key(|step| step.at_ms));
        assert_eq!(steps.last().unwrap().at_ms, 89_999_000);
    }
    let minutes = series.since(Resolution::Minute, 89_000_000 - 60_000);
    assert_eq!(minutes.iter().map(|step| step.oom_kills).sum::<u32>(), 1);
    // The mean of 89 880 … 89 939.
    assert!(minutes.iter().any(|step| step.swap_out_rate == 89_909));
    assert!(std::mem::size_of::<MemorySample>() * (600 + 720 + 1440) < 200 << 10);
}

#[test]
fn step_keeps_the_worst_of_it() {
    let mut series = Series::default();
    series.push(&MemorySample {
        some: Some(10.0),
        ..at(60)
    });
    series.push(&MemorySample {
        available: Size(5),
        swap_used: Size(9),
        ..at(61)
    });
    series.push(&at(30));
    let minutes = series.since(Resolution::Minute, 0);
    assert_eq!(minutes.len(), 1);
    assert_eq!(
        (minutes[0].available, minutes[0].swap_used),
        (Size(5), Size(9))
    );
    assert_eq!(minutes[0].some, Some(5.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn series_never_grows_or_goes_back(times in proptest::collection::vec(0u64..200_000_000, 0..2000)) {
        let mut series = Series::default();
        for at_ms in times {
            series.push(&MemorySample { at_ms, swap_in_rate: u64::MAX, oom_kills: u32::MAX, ..at(0) });
        }
        for resolution in Resolution::ALL {
            let steps = series.since(resolution, 0);
            prop_assert!(steps.len() <= resolution.steps());
            prop_assert!(steps.is_sorted_by_key(|step| step.at_ms));
        }
    }
}

/// Feeds one sample a second, and tells the changes as `second kind level`.
fn told(seconds: impl Iterator<Item = (MemorySample, Situation)>) -> Vec<String> {
    let mut alarms = Alarms::default();
    let mut told = Vec::new();
    for (sample, situation) in seconds {
        for change in alarms.observe(&sample, &situation) {
            let second = sample.at_ms / 1000;
            told.push(match change {
                AlarmChange::Raised(alarm) => {
                    format!("{second} {:?} {:?}", alarm.kind, alarm.level)
                }
                AlarmChange::Cleared(kind) => format!("{second} {kind:?} over"),
            });
        }
    }
    told
}

fn pressed(second: u64, some: f32, full: f32) -> (MemorySample, Situation) {
    let sample = MemorySample {
        some: Some(some),
        full: Some(full),
        ..at(second)
    };
    (sample, Situation::default())
}

#[test]
fn pressure_must_last_and_clears_with_hysteresis() {
    let short = (0..100).map(|s| pressed(s, if s % 20 < 15 { 50.0 } else { 0.0 }, 0.0));
    assert_eq!(told(short), [""; 0]);
    let long = (0..400).map(|s| match s {
        0..50 => pressed(s, 25.0, 0.0),
        50..100 => pressed(s, 90.0, 40.0),
        // Less than what raised it, more than half of that.
        100..200 => pressed(s, 50.0, 20.0),
        _ => pressed(s, 0.0, 0.0),
    });
    assert_eq!(
        told(long),
        [
            "20 Pressure Warning",
            "70 Pressure Critical",
            "260 Pressure over"
        ]
    );
}

#[test]
fn flapping_pressure_does_not_flap_the_alarm() {
    let flapping = (0..600).map(|s| pressed(s, if s % 10 < 5 { 25.0 } else { 12.0 }, 0.0));
    let told = told(flapping);
    assert!(told.len() <= 2, "{told:?}");
}

#[test]
fn swap_that_only_lies_there_is_no_alarm() {
    let situation = |total| Situation {
        swap_total: Size::gib(total),
        ..Situation::default()
    };
    let used = MemorySample {
        swap_used: Size::gib(1),
        ..at(0)
    };
    let lies = (0..300).map(|s| {
        (
            MemorySample {
                at_ms: s * 1000,
                ..used
            },
            situation(2),
        )
    });
    assert_eq!(told(lies), [""; 0]);
    let full = (0..300).map(|s| {
        (
            MemorySample {
                at_ms: s * 1000,
                ..used
            },
            situation(1),
        )
    });
    assert_eq!(told(full), ["60 SwapUse Critical"]);
    let busy = MemorySample {
        swap_out_rate: 4 << 20,
        ..used
    };
    let moves = (0..300).map(|s| {
        (
            MemorySample {
                at_ms: s * 1000,
                ..busy
            },
            situation(4),
        )
    });
    assert_eq!(told(moves), ["60 SwapUse Notice"]);
}

#[test]
fn oom_kill_is_told_at_once_with_its_victim() {
    let mut alarms = Alarms::default();
    let victims = vec![Victim {
        pid: 7,
        name: "qemu".to_owned(),
        by_cgroup: false,
    }];
    let changes = alarms.observe(
        &MemorySample {
            oom_kills: 1,
            ..at(1)
        },
        &Situation {
            victims,
            ..Situation::default()
        },
    );
    let [AlarmChange::Raised(alarm)] = &changes[..] else {
        panic!("{changes:?}")
    };
    assert_eq!(
        (alarm.kind, alarm.level),
        (AlarmKind::OomKill, AlarmLevel::Critical)
    );
    assert!(
        alarm
            .message
            .starts_with("The kernel killed qemu (7) for want of memory."),
        "{}",
        alarm.message
    );
    // Still told, with the name, minutes later; then over.
    assert_eq!(alarms.observe(&at(500), &Situation::default()), []);
    assert_eq!(alarms.raised()[0].message, alarm.message);
    let over = alarms.observe(&at(1200), &Situation::default());
    assert_eq!(over, [AlarmChange::Cleared(AlarmKind::OomKill)]);
    assert_eq!(alarms.raised(), []);
}

#[test]
fn host_that_is_too_small_says_by_how_much() {
    let situation = Situation {
        vms_need: Size::mib(2048),
        vms_hold: Size::mib(646),
        ..Situation::default()
    };
    let mut alarms = Alarms::default();
    for second in 0..40 {
        alarms.observe(&at(second), &situation);
    }
    let raised = alarms.raised();
    assert_eq!(
        (raised[0].kind, raised[0].level),
        (AlarmKind::TooSmall, AlarmLevel::Notice)
    );
    let told = &raised[0].message;
    assert!(
        told.contains("too small for these VMs: it lacks about 380 MiB"),
        "{told}"
    );
}

#[test]
fn victims_are_read_from_the_kernels_log() {
    let record = "3,1052,9000,-;Out of memory: Killed process 41 (my (x) app) total-vm:9kB, anon-rss:1kB\n \
                  SUBSYSTEM=x\n";
    let found = victim(record).unwrap();
    assert_eq!(
        (found.pid, found.name.as_str(), found.by_cgroup),
        (41, "my (x) app", false)
    );
    let record = "3,1,1,-;Memory cgroup out of memory: Killed process 5 (a) total-vm:9kB\n";
    assert!(victim(record).unwrap().by_cgroup);
    for text in [
        "",
        "Out of memory: Killed process 5 (a)",
        "1,1,1,-;said: Out of memory: Killed process 5 (a)",
        "1,1,1,-;Out of memory: Killed process x (a) total-vm:",
        "1,1,1,-;Out of memory: Killed process 5 a",
    ] {
        assert_eq!(victim(text), None, "{text:?}");
    }
}

#[test]
fn log_of_this_machine_can_be_read() {
    let mut log = OomLog::open(std::path::Path::new("/dev/kmsg")).unwrap();
    log.victims().unwrap();
}
