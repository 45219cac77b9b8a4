//! No space: the change is refused and not made, those before are kept, and when there is space
//! again changes are made again.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use kinglet_registry::{Options, Registry, RegistryError, Txn, TxnError};

const VALUE: usize = 20_000;

/// Writes until there is no space; returns how many were acknowledged.
async fn fill(registry: &Registry) -> u64 {
    for step in 0..10_000 {
        let txn = Txn::new()
            .put(format!("/a/{step}"), vec![1; VALUE])
            .put("/last", step.to_string());
        match registry.txn(txn).await {
            Ok(_) => {}
            Err(TxnError::Registry(RegistryError::NoSpace { .. })) => return step,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("space without an end");
}

/// Exactly the acknowledged ones are there.
async fn check(registry: &Registry, made: u64) {
    assert_eq!(registry.current_revision().0, made);
    assert_eq!(registry.count("/a/").await.unwrap(), made);
    let last = registry.get("/last").await.unwrap().unwrap();
    assert_eq!(last.value, (made - 1).to_string());
}

#[tokio::test]
async fn limit_of_the_file_refuses_growth_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("registry.db");
    let options = Options {
        max_bytes: Some(1 << 20),
        ..Options::default()
    };
    let registry = Registry::open(&file, options).unwrap();
    let made = fill(&registry).await;
    check(&registry, made).await;
    registry.close().await;
    let registry = Registry::open(&file, Options::default()).unwrap();
    check(&registry, made).await;
    registry
        .txn(Txn::new().put("/b", vec![1; VALUE]))
        .await
        .unwrap();
}

#[tokio::test]
async fn group_with_one_that_is_too_large_still_serves_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        max_bytes: Some(1 << 20),
        ..Options::default()
    };
    let registry = Registry::open(&folder.path().join("registry.db"), options).unwrap();
    let large = (0..3).fold(Txn::new(), |txn, n| {
        txn.put(format!("/l/{n}"), vec![1; 1 << 20])
    });
    // Polled together, so that they lie in the queue together.
    let small = |n: u32| registry.txn(Txn::new().put(format!("/s/{n}"), "small"));
    let (a, b, c) = futures::join!(small(1), registry.txn(large), small(2));
    assert!(
        matches!(b, Err(TxnError::Registry(RegistryError::NoSpace { .. }))),
        "{b:?}"
    );
    assert_eq!((a.unwrap().revision.0, c.unwrap().revision.0), (1, 2));
    assert_eq!(registry.count("/l/").await.unwrap(), 0);
}

/// A filesystem of its own; unmounted at the end.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        let mount = ["-t", "tmpfs", "-o", size, "kinglet-registry-test"];
        let done = Command::new("mount")
            .args(mount)
            .arg(at)
            .stderr(Stdio::null())
            .status();
        done.is_ok_and(|status| status.success())
            .then(|| Self(at.to_path_buf()))
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let done = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(done.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[tokio::test]
async fn full_filesystem_refuses_changes_until_there_is_space() {
    let folder = tempfile::tempdir().unwrap();
    let Some(tmpfs) = Tmpfs::mount(folder.path(), "size=3m") else {
        eprintln!("not run: this test needs the right to mount a tmpfs (CAP_SYS_ADMIN)");
        return;
    };
    let ballast = tmpfs.0.join("ballast");
    fs::write(&ballast, vec![0; 1 << 20]).unwrap();
    let file = tmpfs.0.join("registry.db");
    let registry = Registry::open(&file, Options::default()).unwrap();
    let made = fill(&registry).await;
    check(&registry, made).await;
    let grant = registry.grant(std::time::Duration::from_secs(60)).await;
    fs::remove_file(&ballast).unwrap();
    registry
        .txn(Txn::new().put("/b", vec![1; VALUE]))
        .await
        .unwrap();
    let lease = registry
        .grant(std::time::Duration::from_secs(60))
        .await
        .unwrap();
    assert!(grant.is_ok_and(|earlier| earlier < lease) || lease.0 == 1);
    registry.txn(Txn::new().delete("/b")).await.unwrap();
    registry.close().await;
    let registry = Registry::open(&file, Options::default()).unwrap();
    assert_eq!(registry.current_revision().0, made + 2);
    assert_eq!(registry.count("/a/").await.unwrap(), made);
    registry.close().await;
    // No space even for a new registry: the error says so and leaves none behind.
    fs::write(&ballast, vec![0; 4 << 20]).unwrap_err();
    let new = Registry::open(&tmpfs.0.join("other.db"), Options::default());
    assert!(matches!(new, Err(RegistryError::NoSpace { .. })));
    assert!(!tmpfs.0.join("other.db").exists());
}
