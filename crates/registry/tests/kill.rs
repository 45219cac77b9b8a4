//! SIGKILL during writes: what was acknowledged is there afterwards, and nothing is there by half.
//!
//! The writer is this test binary started again: with [`FILE`] set, `child_writes_until_killed`
//! writes to that file until it is killed, and prints each acknowledged revision.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use kinglet_registry::{EventKind, Expect, Options, Registry, Revision, Txn};
use proptest::{
    prelude::Rng,
    test_runner::{RngAlgorithm, TestRng},
};

const FILE: &str = "KINGLET_REGISTRY_KILL_TEST";
const ROUNDS: u32 = 300;
const WRITERS: u64 = 3;
const KEYS: u64 = 3;

/// Few enough that compaction happens among the kills.
const OPTIONS: Options = Options {
    keep_revisions: 400,
    max_bytes: None,
    backup: false,
};

/// An acknowledged transaction: writer `writer` has put `step` into each of its keys.
#[derive(Clone, Copy, Debug)]
struct Acknowledged {
    revision: Revision,
    writer: u64,
    step: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_writes_until_killed() {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let registry = Registry::open(Path::new(&file), OPTIONS).unwrap();
    let writers: Vec<_> = (0..WRITERS)
        .map(|n| tokio::spawn(write(registry.clone(), n)))
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

async fn write(registry: Registry, writer: u64) {
    let first = registry.get(key(writer, 0)).await.unwrap();
    let mut step = first.as_ref().map_or(0, |entry| step_in(&entry.value));
    let mut expect = first.map_or(Expect::Absent, |entry| Expect::Revision(entry.modified));
    loop {
        step += 1;
        let txn = Txn::new().require(key(writer, 0), expect);
        // Now and then values that take several pages.
        let padding = if step.is_multiple_of(7) { 9000 } else { 50 };
        let value = format!("{step} {}", "x".repeat(padding));
        let txn = (0..KEYS).fold(txn, |txn, n| txn.put(key(writer, n), value.clone()));
        let made = registry.txn(txn).await.unwrap();
        expect = Expect::Revision(made.revision);
        let line = format!("ack {} {writer} {step}\n", made.revision);
        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
    }
}

fn key(writer: u64, n: u64) -> String {
    format!("/{writer}/{n}")
}

fn step_in(value: &[u8]) -> u64 {
    let text = std::str::from_utf8(value).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn every_acknowledged_revision_survives_sigkill() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("registry.db");
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut all = Vec::new();
    let mut before = [0; WRITERS as usize];
    for _ in 0..ROUNDS {
        let after = u64::from(random.next_u32() % 12);
        let moment = Duration::from_micros(u64::from(random.next_u32() % 3000));
        all.extend(write_and_kill(&file, after, moment));
        check(&file, &all, &mut before).await;
    }
    eprintln!("{ROUNDS} kills, {} acknowledged transactions", all.len());
    assert!(
        all.len() > ROUNDS as usize,
        "the writers hardly wrote: {}",
        all.len()
    );
}

#[test]
fn registry_killed_while_it_is_created_opens() {
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[8; 32]);
    let mut created = 0;
    for _ in 0..60 {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("registry.db");
        let moment = Duration::from_micros(u64::from(random.next_u32() % 40_000));
        write_and_kill(&file, 0, moment);
        created += u32::from(file.exists());
        drop(Registry::open(&file, Options::default()).unwrap());
    }
    eprintln!("of 60 kills {created} came after the creation");
}

/// Starts a writer, kills it a moment after so many acknowledgements, returns all it had printed.
fn write_and_kill(file: &Path, after: u64, moment: Duration) -> Vec<Acknowledged> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "child_writes_until_killed",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(FILE, file)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut seen = Vec::new();
    while (seen.len() as u64) < after {
        let Some(line) = read(&mut lines) else {
            panic!("the writer ended by itself")
        };
        seen.extend(line);
    }
    // Not a wait for something: the moment of the kill is what is tested, and it is to vary.
    let until = Instant::now() + moment;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    while let Some(line) = read(&mut lines) {
        seen.extend(line);
    }
    seen
}

/// A line of the child: `None` at the end, `Some(None)` if it is not an acknowledgement.
fn read(lines: &mut impl BufRead) -> Option<Option<Acknowledged>> {
    let mut line = String::new();
    lines.read_line(&mut line).unwrap();
    if line.is_empty() {
        return None;
    }
    // The last line may be cut off; libtest's own lines have other words.
    let words = line
        .strip_suffix('\n')
        .and_then(|line| line.split_once("ack "));
    let numbers: Option<Vec<u64>> =
        words.map(|(_, numbers)| numbers.split(' ').map(|n| n.parse().unwrap()).collect());
    Some(numbers.map(|numbers| Acknowledged {
        revision: Revision(numbers[0]),
        writer: numbers[1],
        step: numbers[2],
    }))
}

/// `before` is the last step of each writer that was found after the kill before.
async fn check(file: &Path, all: &[Acknowledged], before: &mut [u64]) {
    let registry = Registry::open(file, OPTIONS).unwrap();
    for (writer, before) in (0..WRITERS).zip(before) {
        let mut steps = Vec::new();
        for n in 0..KEYS {
            let entry = registry.get(key(writer, n)).await.unwrap();
            steps.push(entry.map_or((0, Revision::ZERO), |e| (step_in(&e.value), e.modified)));
        }
        assert!(
            steps.iter().all(|step| *step == steps[0]),
            "half a transaction: {steps:?}"
        );
        let newest = all
            .iter()
            .rfind(|ack| ack.writer == writer)
            .map_or(0, |ack| ack.step);
        let least = newest.max(*before);
        // One more may have been written without the acknowledgement having been printed.
        assert!(
            (least..=least + 1).contains(&steps[0].0),
            "{steps:?}, not {least} or one more"
        );
        *before = steps[0].0;
    }
    check_history(&registry, all).await;
    registry.close().await;
}

/// Compares the kept history with the acknowledgements, revision by revision.
async fn check_history(registry: &Registry, all: &[Acknowledged]) {
    let current = registry.current_revision();
    let mut from = Revision(1);
    let mut found = BTreeMap::new();
    let mut watch = registry.watch("", from);
    while from <= current {
        match watch.next().await.unwrap() {
            Ok(batch) => {
                assert_eq!(
                    batch.events.len() as u64,
                    KEYS,
                    "half a transaction in the log"
                );
                assert!(
                    batch
                        .events
                        .iter()
                        .all(|event| event.kind == EventKind::Put)
                );
                found.insert(batch.revision, step_in(&batch.events[0].entry.value));
                assert!(
                    batch.revision == from || found.len() == 1,
                    "a revision is missing"
                );
                from = batch.revision.next();
            }
            Err(kinglet_registry::WatchError::Compacted { compacted }) => {
                from = compacted.next();
                watch = registry.watch("", from);
            }
            Err(error) => panic!("{error}"),
        }
    }
    let kept_from = found.keys().next().copied().unwrap_or(current);
    for ack in all.iter().filter(|ack| ack.revision >= kept_from) {
        assert_eq!(found.get(&ack.revision), Some(&ack.step), "{ack:?} is gone");
    }
    assert!(
        all.iter().all(|ack| ack.revision <= current),
        "{current} is too early"
    );
}
