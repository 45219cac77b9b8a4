//! Watching while many write: each watcher sees each revision once and in order, wherever it
//! began and however slow it is.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;

use kinglet_registry::{Options, Registry, Revision, Txn, WatchError};

const WRITERS: u64 = 4;
const STEPS: u64 = 150;
const TOTAL: u64 = WRITERS * STEPS;

async fn write(registry: Registry, writer: u64) {
    for step in 0..STEPS {
        let own = format!("/writer/{writer}");
        let txn = Txn::new()
            .put(own, step.to_string())
            .put(format!("/step/{writer}/{step}"), "");
        registry.txn(txn).await.unwrap();
    }
}

/// Watches everything from a revision to the end; `lag` times lets others run between two batches.
async fn watch_all(registry: Registry, from: u64, lag: usize) {
    let mut watch = registry.watch("", Revision(from));
    let mut steps = BTreeMap::new();
    for revision in from..=TOTAL {
        let batch = watch.next().await.unwrap().unwrap();
        assert_eq!(batch.revision, Revision(revision));
        assert_eq!(batch.events.len(), 2);
        let own = &batch.events[0].entry;
        let step: u64 = std::str::from_utf8(&own.value).unwrap().parse().unwrap();
        if let Some(before) = steps.insert(own.key.clone(), step) {
            assert_eq!(step, before + 1, "{} out of order", own.key);
        }
        for _ in 0..lag {
            tokio::task::yield_now().await;
        }
    }
}

/// Watches one writer from the beginning.
async fn watch_one(registry: Registry, writer: u64) {
    let mut watch = registry.watch(format!("/writer/{writer}"), Revision(1));
    for step in 0..STEPS {
        let batch = watch.next().await.unwrap().unwrap();
        assert_eq!(batch.events.len(), 1);
        assert_eq!(batch.events[0].entry.value, step.to_string());
        assert_eq!(batch.events[0].entry.version, step + 1);
        assert_eq!(batch.events[0].previous.is_some(), step > 0);
    }
}

async fn storm(registry: Registry) {
    let mut tasks: Vec<_> = (0..WRITERS)
        .map(|n| tokio::spawn(write(registry.clone(), n)))
        .collect();
    tasks.extend((0..WRITERS).map(|n| tokio::spawn(watch_one(registry.clone(), n))));
    tasks.push(tokio::spawn(watch_all(registry.clone(), 1, 0)));
    tasks.push(tokio::spawn(watch_all(registry.clone(), 1, 50)));
    // From the future, from what is current, from the past: begun one after another in the storm.
    tasks.push(tokio::spawn(watch_all(registry.clone(), TOTAL / 2, 0)));
    let mut progress = registry.watch("", Revision(1));
    for revision in 1..=TOTAL {
        progress.next().await.unwrap().unwrap();
        if revision % 60 == 0 {
            let current = registry.current_revision().0;
            tasks.push(tokio::spawn(watch_all(registry.clone(), current, 1)));
            tasks.push(tokio::spawn(watch_all(
                registry.clone(),
                revision / 2 + 1,
                0,
            )));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_of_concurrent_writers_have_no_gap_and_no_duplicate_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    storm(Registry::open(&folder.path().join("registry.db"), Options::default()).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_of_concurrent_writers_have_no_gap_and_no_duplicate_in_memory() {
    storm(Registry::in_memory()).await;
}

#[tokio::test]
async fn watcher_slower_than_the_log_is_long_is_told_and_can_begin_anew() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        keep_revisions: 20,
        ..Options::default()
    };
    let registry = Registry::open(&folder.path().join("registry.db"), options).unwrap();
    registry
        .txn(Txn::new().put("/kept", "from the beginning"))
        .await
        .unwrap();
    let mut slow = registry.watch("", Revision(1));
    assert_eq!(slow.next().await.unwrap().unwrap().revision, Revision(1));
    for step in 0..100 {
        registry
            .txn(Txn::new().put("/a", step.to_string()))
            .await
            .unwrap();
    }
    // Automatic compaction comes after the answer. Another command is answered after it.
    registry.compact(Revision::ZERO).await.unwrap();
    let Some(Err(WatchError::Compacted { compacted })) = slow.next().await else {
        panic!("history without an end");
    };
    assert!((75..=82).contains(&compacted.0), "{compacted}");
    assert!(slow.next().await.is_none(), "a watch ends with its error");
    let page = registry.range("", None, 10).await.unwrap();
    assert_eq!(page.entries[1].value, "from the beginning");
    let mut anew = registry.watch("", compacted.next());
    assert_eq!(
        anew.next().await.unwrap().unwrap().revision,
        compacted.next()
    );
}
