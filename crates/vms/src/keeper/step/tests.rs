//! The decision, over every combination of what can be recorded and seen.

use kinglet_model::Condition;
use kinglet_model::vm::ProcessIdentity;

use super::*;

fn guests() -> Vec<Option<Guest>> {
    vec![
        None,
        Some(Guest::Running),
        Some(Guest::Paused),
        Some(Guest::Stuck("full".to_owned())),
        Some(Guest::ShutDown),
        Some(Guest::Panicked),
    ]
}

fn processes() -> Vec<Process> {
    let mut all = vec![Process::Absent, Process::Hidden];
    for recorded in [false, true] {
        all.extend(
            guests()
                .into_iter()
                .map(|guest| Process::Present { recorded, guest }),
        );
    }
    all
}

/// Calls `check` with every combination that matters to the decision.
fn each(mut check: impl FnMut(&VmSpec, &VmStatus, &Observed, &Step)) -> usize {
    let identity = ProcessIdentity {
        pid: 7,
        start_ticks: 7,
        boot_id: "b".to_owned(),
    };
    let mut marks: Vec<Option<&str>> = MARKS.iter().copied().map(Some).collect();
    marks.push(None);
    let mut count = 0;
    for phase in VmPhase::ALL {
        for power in [Power::Off, Power::On, Power::Paused] {
            for process in processes() {
                for mark in &marks {
                    for bits in 0..32_u32 {
                        let bit = |n: u32| bits & (1 << n) != 0;
                        let spec = VmSpec {
                            power,
                            restarts: bits & 1,
                            ..VmSpec::default()
                        };
                        let status = VmStatus {
                            phase,
                            process: bit(1).then(|| identity.clone()),
                            conditions: mark.iter().map(|mark| Condition::new(mark, "")).collect(),
                            reason: bit(2).then(|| "why".to_owned()),
                            ..VmStatus::default()
                        };
                        let shutdowns = [Shutdown::NotAsked, Shutdown::Asked, Shutdown::Overdue];
                        let seen = Observed {
                            process: process.clone(),
                            same_boot: bit(3),
                            images: bit(4).then(|| "arriving".to_owned()),
                            shutdown: shutdowns[count % 3],
                            media_right: count % 2 == 0,
                        };
                        check(&spec, &status, &seen, &next_step(&spec, &status, &seen));
                        count += 1;
                    }
                }
            }
        }
    }
    count
}

#[test]
fn a_process_is_started_only_where_there_is_none_and_only_where_it_is_wanted() {
    let mut launches = 0;
    let all = each(|spec, status, seen, step| {
        if *step == Step::Launch {
            launches += 1;
            assert_eq!(seen.process, Process::Absent);
            assert_eq!(status.phase, VmPhase::Starting);
            assert_ne!(spec.power, Power::Off);
            assert_eq!(seen.images, None);
        }
    });
    assert!(launches > 0 && all > 10_000);
}

#[test]
fn every_change_that_is_decided_is_one_that_the_table_has() {
    each(|_, status, _, step| {
        let event = match step {
            Step::Move(event, _) | Step::Ended(event, _) => *event,
            Step::NoteShutdown => VmEvent::Stop,
            _ => return,
        };
        assert!(
            status.phase.after(event).is_some(),
            "{} {event:?}",
            status.phase
        );
    });
}

#[test]
fn a_vm_is_never_said_to_be_ended_or_removed_while_a_process_may_be_there() {
    each(|_, _, seen, step| {
        if matches!(step, Step::Ended(..) | Step::Remove) {
            assert_eq!(seen.process, Process::Absent);
        }
        if seen.process == Process::Hidden {
            assert_eq!(*step, Step::LookAgain);
        }
    });
}

#[test]
fn a_vm_at_rest_is_as_it_is_wanted_or_waits_for_something() {
    each(|spec, status, seen, step| {
        if *step != Step::Rest {
            return;
        }
        match (status.phase, &seen.process) {
            (VmPhase::Stopped, process) => {
                assert_eq!((spec.power, process), (Power::Off, &Process::Absent));
            }
            (VmPhase::Waiting, _) => assert!(seen.images.is_some()),
            (VmPhase::Failed, process) => assert_eq!(process, &Process::Absent),
            (VmPhase::Running, Process::Present { guest, .. }) => {
                assert_eq!((spec.power, guest), (Power::On, &Some(Guest::Running)));
            }
            (VmPhase::Paused, Process::Present { guest, .. }) => {
                let stuck = matches!(guest, Some(Guest::Stuck(_)));
                assert!(stuck || (spec.power == Power::Paused && *guest == Some(Guest::Paused)));
            }
            (VmPhase::Stopping, _) => assert_eq!(seen.shutdown, Shutdown::Asked),
            other => panic!("rests in {other:?}"),
        }
    });
}

#[test]
fn a_kill_that_was_asked_for_is_done_also_after_a_crash_of_the_program() {
    each(|spec, status, seen, step| {
        let present = matches!(seen.process, Process::Present { recorded: true, .. });
        if !present || !has(status, KILL_ASKED) {
            return;
        }
        match status.phase {
            VmPhase::Starting | VmPhase::Running | VmPhase::Paused => {
                assert_eq!(*step, Step::Move(VmEvent::Stop, None), "{spec:?}");
            }
            _ => assert_eq!(*step, Step::Kill),
        }
    });
}

/// Plays the decision against a world that does what it is told, from every recorded state: it
/// always comes to rest, and where a start is wanted there is one process in the end.
#[test]
fn from_every_state_it_comes_to_rest_within_a_few_steps() {
    each(|spec, status, seen, _| {
        let (mut spec, mut status, mut seen) = (spec.clone(), status.clone(), seen.clone());
        seen.media_right = true;
        if seen.process == Process::Hidden {
            seen.process = Process::Absent;
        }
        for _ in 0..24 {
            match next_step(&spec, &status, &seen) {
                Step::Rest | Step::Remove => return,
                step => play(step, &mut spec, &mut status, &mut seen),
            }
        }
        panic!("no rest: {spec:?} {status:?} {seen:?}");
    });
}

fn play(step: Step, spec: &mut VmSpec, status: &mut VmStatus, seen: &mut Observed) {
    let identity = ProcessIdentity {
        pid: 8,
        start_ticks: 8,
        boot_id: "b".to_owned(),
    };
    let guest = |seen: &mut Observed, now: Guest| {
        if let Process::Present { guest, .. } = &mut seen.process {
            *guest = Some(now);
        }
    };
    match step {
        Step::Move(event, reason) => {
            status.phase = status.phase.after(event).unwrap();
            status.reason = reason;
            seen.shutdown = Shutdown::NotAsked;
        }
        Step::Launch => {
            let guest = Some(Guest::Running);
            seen.process = Process::Present {
                recorded: false,
                guest,
            };
        }
        Step::Record => {
            status.process = Some(identity);
            status.restarts_done = spec.restarts;
            if let Process::Present { recorded, .. } = &mut seen.process {
                *recorded = true;
            }
        }
        Step::Pause => guest(seen, Guest::Paused),
        Step::Resume => guest(seen, Guest::Running),
        Step::LookAgain => guest(seen, Guest::Running),
        Step::AskShutdown => guest(seen, Guest::ShutDown),
        Step::NoteShutdown => {
            spec.power = Power::Off;
            status.phase = status.phase.after(VmEvent::Stop).unwrap();
        }
        Step::Mark(mark) => status.conditions.push(Condition::new(mark, "")),
        Step::Quit | Step::Kill => seen.process = Process::Absent,
        Step::Ended(event, _) => {
            status.phase = status.phase.after(event).unwrap();
            status.process = None;
            status.conditions.clear();
        }
        Step::Media | Step::Rest | Step::Remove => {}
    }
}
