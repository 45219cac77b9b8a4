//! The SQLite backend against the in-memory one: any sequence of operations, with reopening in
//! between, must have the same answers and the same history.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{path::PathBuf, time::Duration};

use kinglet_registry::{
    Batch, Expect, Key, KeyRange, LeaseId, Options, Registry, Revision, Txn, WatchError,
};
use proptest::{collection::vec, prelude::*};
use tempfile::TempDir;

/// Sorts after every other key of the test; each watch that is compared reads up to its newest put.
const SENTINEL: &str = "/~";

const KEYS: [&str; 6] = ["/a", "/a/1", "/a/2", "/b", "/b/ü", "/c"];

#[derive(Clone, Debug)]
enum Want {
    Absent,
    Exists,
    Current,
    Stale,
    Value(u8),
}

#[derive(Clone, Debug)]
enum Edit {
    Put(u8),
    PutLeased(u8, usize),
    Delete,
}

#[derive(Clone, Debug)]
enum Step {
    Txn {
        wants: Vec<(usize, Want)>,
        edits: Vec<(usize, Edit)>,
    },
    Get(usize),
    Range {
        start: usize,
        after: Option<usize>,
        limit: usize,
    },
    Prefix(usize),
    Watch {
        start: usize,
        permille: u64,
    },
    Compact {
        permille: u64,
    },
    Grant,
    KeepAlive(usize),
    Revoke(usize),
    Reopen,
}

fn want() -> impl Strategy<Value = Want> {
    prop_oneof![
        1 => Just(Want::Absent),
        2 => Just(Want::Exists),
        4 => Just(Want::Current),
        1 => Just(Want::Stale),
        1 => (0..4_u8).prop_map(Want::Value),
    ]
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (0..4_u8).prop_map(Edit::Put),
        1 => (0..4_u8, 0..5_usize).prop_map(|(value, lease)| Edit::PutLeased(value, lease)),
        3 => Just(Edit::Delete),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS.len();
    prop_oneof![
        12 => (vec((key.clone(), want()), 0..2), vec((key.clone(), edit()), 0..4))
            .prop_map(|(wants, edits)| Step::Txn { wants, edits }),
        2 => key.clone().prop_map(Step::Get),
        2 => (key.clone(), proptest::option::of(key.clone()), 1..4_usize)
            .prop_map(|(start, after, limit)| Step::Range { start, after, limit }),
        1 => key.clone().prop_map(Step::Prefix),
        3 => (key, 0..=1100_u64).prop_map(|(start, permille)| Step::Watch { start, permille }),
        1 => (0..=1100_u64).prop_map(|permille| Step::Compact { permille }),
        1 => Just(Step::Grant),
        1 => (0..5_usize).prop_map(Step::KeepAlive),
        1 => (0..5_usize).prop_map(Step::Revoke),
        1 => Just(Step::Reopen),
    ]
}

struct Pair {
    sqlite: Registry,
    oracle: Registry,
    file: PathBuf,
    _folder: TempDir,
}

impl Pair {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("registry.db");
        let sqlite = Registry::open(&file, Options::default()).unwrap();
        Self {
            sqlite,
            oracle: Registry::in_memory(),
            file,
            _folder: folder,
        }
    }

    async fn run(&mut self, step: &Step) {
        if let Step::Reopen = step {
            self.sqlite.close().await;
            self.sqlite = Registry::open(&self.file, Options::default()).unwrap();
        } else {
            let seen = answer(&self.sqlite, step).await;
            assert_eq!(seen, answer(&self.oracle, step).await, "{step:?}");
        }
        assert_eq!(
            self.sqlite.current_revision(),
            self.oracle.current_revision(),
            "{step:?}"
        );
    }
}

/// What the registry says, as text: answers and refusals alike.
async fn answer(registry: &Registry, step: &Step) -> String {
    let current = registry.current_revision().0;
    match step {
        Step::Txn { wants, edits } => {
            let txn = build(registry, wants, edits).await;
            format!("{:?}", registry.txn(txn).await)
        }
        Step::Get(key) => format!("{:?}", registry.get(KEYS[*key]).await),
        Step::Range {
            start,
            after,
            limit,
        } => {
            let after = after.map(|after| Key::from(KEYS[after]));
            let range = KeyRange::between(KEYS[*start], "/c");
            format!("{:?}", registry.range(range, after.as_ref(), *limit).await)
        }
        Step::Prefix(key) => {
            let page = registry.range(KEYS[*key], None, 100).await;
            format!("{page:?} {:?}", registry.count(KEYS[*key]).await)
        }
        Step::Watch { start, permille } => {
            format!(
                "{:?}",
                history(registry, KEYS[*start], current * permille / 1000).await
            )
        }
        Step::Compact { permille } => {
            format!(
                "{:?}",
                registry.compact(Revision(current * permille / 1000)).await
            )
        }
        Step::Grant => format!("{:?}", registry.grant(Duration::from_secs(3600)).await),
        Step::KeepAlive(lease) => format!("{:?}", registry.keep_alive(id(*lease)).await),
        Step::Revoke(lease) => format!("{:?}", registry.revoke(id(*lease)).await),
        Step::Reopen => String::new(),
    }
}

async fn build(registry: &Registry, wants: &[(usize, Want)], edits: &[(usize, Edit)]) -> Txn {
    let mut txn = Txn::new();
    for (key, want) in wants {
        let found = registry.get(KEYS[*key]).await.unwrap();
        let modified = found.map_or(0, |entry| entry.modified.0);
        let expect = match want {
            Want::Absent => Expect::Absent,
            Want::Exists => Expect::Exists,
            Want::Current => Expect::Revision(Revision(modified)),
            Want::Stale => Expect::Revision(Revision(modified.saturating_sub(1))),
            Want::Value(value) => Expect::Value(vec![*value].into()),
        };
        txn = txn.require(KEYS[*key], expect);
    }
    for (key, edit) in edits {
        txn = match edit {
            Edit::Put(value) => txn.put(KEYS[*key], vec![*value]),
            Edit::PutLeased(value, lease) => {
                txn.put_with_lease(KEYS[*key], vec![*value], id(*lease))
            }
            Edit::Delete => txn.delete(KEYS[*key]),
        };
    }
    txn
}

/// Leases are numbered from 1, so that small numbers sometimes name one that exists.
fn id(lease: usize) -> LeaseId {
    LeaseId(lease as u64 + 1)
}

async fn history(registry: &Registry, start: &str, from: u64) -> Result<Vec<Batch>, String> {
    let last = registry
        .txn(Txn::new().put(SENTINEL, ""))
        .await
        .unwrap()
        .revision;
    let mut watch = registry.watch(KeyRange::between(start, "/~~"), Revision(from));
    let mut batches = Vec::new();
    loop {
        match watch.next().await.unwrap() {
            Ok(batch) => {
                let end = batch.revision >= last;
                batches.push(batch);
                if end {
                    return Ok(batches);
                }
            }
            Err(error @ WatchError::Compacted { .. }) => return Err(error.to_string()),
            Err(error) => panic!("{error}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn sqlite_answers_as_the_oracle_does(steps in vec(step(), 1..50)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut pair = Pair::new();
            for step in &steps {
                pair.run(step).await;
            }
            // Whatever happened: the whole kept history and the whole state agree.
            pair.run(&Step::Reopen).await;
            pair.run(&Step::Watch { start: 0, permille: 1000 }).await;
            pair.run(&Step::Prefix(0)).await;
            pair.run(&Step::Compact { permille: 1000 }).await;
            pair.run(&Step::Prefix(3)).await;
        });
    }
}
