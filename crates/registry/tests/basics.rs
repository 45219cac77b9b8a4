//! What every backend must do, on both.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::time::Duration;

use kinglet_registry::{
    EventKind, Expect, Key, LeaseId, Options, Registry, RegistryError, Revision, Txn, TxnError,
    WatchError,
};
use tempfile::TempDir;

struct Both(Vec<Registry>, #[allow(dead_code)] TempDir);

fn both() -> Both {
    let folder = tempfile::tempdir().unwrap();
    let sqlite = Registry::open(&folder.path().join("registry.db"), Options::default()).unwrap();
    Both(vec![Registry::in_memory(), sqlite], folder)
}

#[tokio::test]
async fn transaction_changes_all_keys_as_one_revision_or_none() {
    for registry in both().0 {
        let made = registry
            .txn(Txn::new().put("/a", "1").put("/b", "2"))
            .await
            .unwrap();
        assert_eq!(made.revision, Revision(1));
        let refused = Txn::new()
            .require("/a", Expect::Revision(Revision(1)))
            .require("/b", Expect::Absent)
            .put("/a", "3")
            .delete("/b");
        match registry.txn(refused).await {
            Err(TxnError::Conflict { key, found }) => {
                assert_eq!((key, found), (Key::from("/b"), Some(Revision(1))));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(registry.get("/a").await.unwrap().unwrap().value, "1");
        let nothing = registry.txn(Txn::new().delete("/absent")).await.unwrap();
        assert_eq!(nothing.revision, Revision(1));
        assert_eq!(registry.current_revision(), Revision(1));
    }
}

#[tokio::test]
async fn entry_counts_versions_anew_after_a_deletion() {
    for registry in both().0 {
        for value in ["1", "2"] {
            registry.txn(Txn::new().put("/a", value)).await.unwrap();
        }
        let entry = registry.get("/a").await.unwrap().unwrap();
        assert_eq!(
            (entry.created.0, entry.modified.0, entry.version),
            (1, 2, 2)
        );
        registry
            .delete_if("/a", Expect::Revision(Revision(2)))
            .await
            .unwrap();
        assert!(registry.get("/a").await.unwrap().is_none());
        registry
            .compare_and_put("/a", Expect::Absent, "3")
            .await
            .unwrap();
        let entry = registry.get("/a").await.unwrap().unwrap();
        assert_eq!(
            (entry.created.0, entry.modified.0, entry.version),
            (4, 4, 1)
        );
    }
}

#[tokio::test]
async fn range_pages_through_a_prefix_in_order() {
    for registry in both().0 {
        let keys: Vec<_> = (0..25).map(|n| format!("/vms/{n:02}")).collect();
        let txn = keys
            .iter()
            .fold(Txn::new(), |txn, key| txn.put(key.as_str(), "x"));
        registry
            .txn(txn.put("/vmsx", "").put("/vm", ""))
            .await
            .unwrap();
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let page = registry.range("/vms/", after.as_ref(), 10).await.unwrap();
            seen.extend(page.entries.iter().map(|entry| entry.key.to_string()));
            after = page.entries.last().map(|entry| entry.key.clone());
            if !page.more {
                break;
            }
        }
        assert_eq!(seen, keys);
        assert_eq!(registry.count("/vms/").await.unwrap(), 25);
        assert_eq!(registry.count("").await.unwrap(), 27);
    }
}

#[tokio::test]
async fn watch_tells_history_then_live_with_what_was_before() {
    for registry in both().0 {
        registry
            .txn(Txn::new().put("/a", "1").put("/other", ""))
            .await
            .unwrap();
        let mut watch = registry.watch("/a", Revision(1));
        let first = watch.next().await.unwrap().unwrap();
        assert_eq!((first.revision, first.events.len()), (Revision(1), 1));
        let writer = registry.clone();
        let write = tokio::spawn(async move {
            writer
                .txn(Txn::new().put("/other", "not watched"))
                .await
                .unwrap();
            writer.txn(Txn::new().delete("/a")).await.unwrap();
        });
        let second = watch.next().await.unwrap().unwrap();
        assert_eq!(
            (second.revision, second.events[0].kind),
            (Revision(3), EventKind::Delete)
        );
        assert_eq!(second.events[0].previous.as_ref().unwrap().value, "1");
        write.await.unwrap();
        registry.close().await;
        assert!(watch.next().await.is_none());
        assert!(matches!(
            registry.get("/a").await,
            Err(RegistryError::Closed)
        ));
    }
}

#[tokio::test]
async fn watch_from_compacted_history_says_so() {
    for registry in both().0 {
        for _ in 0..5 {
            registry.txn(Txn::new().put("/a", "1")).await.unwrap();
        }
        registry.compact(Revision(3)).await.unwrap();
        match registry.watch("", Revision(3)).next().await {
            Some(Err(WatchError::Compacted { compacted })) => assert_eq!(compacted, Revision(3)),
            other => panic!("{other:?}"),
        }
        let batch = registry
            .watch("", Revision(4))
            .next()
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            batch.events[0].previous.as_ref().unwrap().modified,
            Revision(3)
        );
        let ahead = registry.compact(Revision(6)).await;
        assert!(matches!(ahead, Err(RegistryError::FutureRevision { .. })));
    }
}

/// Puts keys under a lease that ends at once. On a busy machine it may end before they are put.
async fn hold_briefly(registry: &Registry) -> LeaseId {
    loop {
        let lease = registry.grant(Duration::from_millis(30)).await.unwrap();
        let held = Txn::new()
            .put_with_lease("/a", "", lease)
            .put_with_lease("/b", "", lease);
        match registry.txn(held.put("/c", "")).await {
            Ok(_) => return lease,
            Err(TxnError::Registry(RegistryError::NoLease(_))) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn lease_takes_its_keys_along_as_one_revision() {
    for registry in both().0 {
        let lease = hold_briefly(&registry).await;
        let mut watch = registry.watch("", Revision(2));
        let ended = watch.next().await.unwrap().unwrap();
        assert_eq!((ended.revision, ended.events.len()), (Revision(2), 2));
        assert!(
            ended
                .events
                .iter()
                .all(|event| event.kind == EventKind::Delete)
        );
        assert_eq!(registry.count("").await.unwrap(), 1);
        assert!(matches!(
            registry.keep_alive(lease).await,
            Err(RegistryError::NoLease(_))
        ));
        let late = registry
            .txn(Txn::new().put_with_lease("/a", "", lease))
            .await;
        assert!(matches!(
            late,
            Err(TxnError::Registry(RegistryError::NoLease(_)))
        ));
    }
}

#[tokio::test]
async fn key_put_without_its_lease_outlives_it() {
    for registry in both().0 {
        let lease = registry.grant(Duration::from_secs(3600)).await.unwrap();
        registry.keep_alive(lease).await.unwrap();
        registry
            .txn(Txn::new().put_with_lease("/a", "", lease))
            .await
            .unwrap();
        registry.txn(Txn::new().put("/a", "free")).await.unwrap();
        registry.revoke(lease).await.unwrap();
        assert!(registry.get("/a").await.unwrap().unwrap().lease.is_none());
        assert!(matches!(
            registry.revoke(lease).await,
            Err(RegistryError::NoLease(_))
        ));
    }
}

#[tokio::test]
async fn bad_requests_are_refused_and_change_nothing() {
    for registry in both().0 {
        let twice = registry.txn(Txn::new().put("/a", "").delete("/a")).await;
        assert!(matches!(
            twice,
            Err(TxnError::Registry(RegistryError::KeyTwice(_)))
        ));
        for key in ["", "/a\n", &"k".repeat(1025)] {
            let bad = registry.txn(Txn::new().put(key, "")).await;
            assert!(
                matches!(bad, Err(TxnError::Registry(RegistryError::BadKey { .. }))),
                "{key}"
            );
        }
        let large = registry
            .txn(Txn::new().put("/a", vec![0; (1 << 20) + 1]))
            .await;
        assert!(matches!(
            large,
            Err(TxnError::Registry(RegistryError::TooLarge { .. }))
        ));
        assert!(matches!(
            registry.grant(Duration::ZERO).await,
            Err(RegistryError::BadTtl)
        ));
        assert_eq!(registry.current_revision(), Revision::ZERO);
    }
}
