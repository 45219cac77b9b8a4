//! The probe's parent against children that behave in every possible way.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;

fn fake(folder: &tempfile::TempDir, script: &str) -> PathBuf {
    let path = folder.path().join("fake");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn probe(script: &str, bound: Duration) -> KvmVerdict {
    let folder = tempfile::tempdir().unwrap();
    probe_within(&fake(&folder, script), bound)
}

fn why(verdict: KvmVerdict) -> String {
    match verdict {
        KvmVerdict::CannotRunLinux { why } => why,
        other => panic!("{other:?}"),
    }
}

const LONG: Duration = Duration::from_secs(30);

#[test]
fn a_child_that_hangs_is_killed_and_its_step_named() {
    let script = r#"echo '{"step":"cmpxchg16b"}'; exec sleep 1000"#;
    let why = why(probe(script, Duration::from_millis(500)));
    assert!(why.contains("did not get past CMPXCHG16B"), "{why}");
}

#[test]
fn a_child_that_says_nothing_and_hangs_is_killed() {
    let why = why(probe("exec sleep 1000", Duration::from_millis(200)));
    assert!(why.contains("did not end within"), "{why}");
}

#[test]
fn a_child_whose_own_child_holds_the_output_open_does_not_block() {
    let script = r#"sleep 60 & echo $! >"$0.pid"; echo '{"outcome":{"kind":"absent"}}'"#;
    let folder = tempfile::tempdir().unwrap();
    let path = fake(&folder, script);
    let verdict = probe_within(&path, LONG);
    let pid: i32 = std::fs::read_to_string(path.with_extension("pid"))
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert_eq!(verdict, KvmVerdict::Absent);
}

#[test]
fn garbage_is_no_answer() {
    let why = why(probe("echo usable", LONG));
    assert!(why.contains("not understood"), "{why}");
}

#[test]
fn a_child_that_dies_is_no_answer() {
    let script = r#"echo '{"step":"xsave"}'; kill -SEGV $$"#;
    let why = why(probe(script, LONG));
    assert!(
        why.contains("without an answer") && why.contains("XSAVE"),
        "{why}"
    );
}

#[test]
fn an_answer_with_a_failing_status_is_none() {
    let script = r#"echo '{"outcome":{"kind":"ran","rate":1000000000}}'; exit 3"#;
    assert!(!probe(script, LONG).is_usable());
}

#[test]
fn a_program_that_is_not_there_is_told() {
    let why = why(probe_within(Path::new("/no/such/program"), LONG));
    assert!(why.contains("could not be run"), "{why}");
}

#[test]
fn the_rate_decides_between_running_and_emulating() {
    let answer = |rate: u64| {
        probe(
            &format!(r#"echo '{{"outcome":{{"kind":"ran","rate":{rate}}}}}'"#),
            LONG,
        )
    };
    assert_eq!(answer(1_000_000_000), KvmVerdict::Usable);
    let slow = why(answer(1_900_000));
    assert!(slow.contains("about 2 million"), "{slow}");
}

#[cfg(target_arch = "x86_64")]
#[test]
fn the_guest_fits_and_lies_where_it_should() {
    assert!(sys::code().len() > 100 && sys::code().len() < 0x1000);
    assert!((sys::int3_offset() as usize) < sys::code().len());
}
