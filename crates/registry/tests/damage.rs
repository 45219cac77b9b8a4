//! Random damage: bytes of a registry's file are changed at random. It is refused, or it opens and
//! what cannot be read is an error. Never a panic, a hang, or a change to a file that was refused.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, path::Path, sync::OnceLock, time::Duration};

use kinglet_registry::{Options, Registry, RegistryError, Revision, Txn};
use proptest::{collection::vec, prelude::*};

/// The bytes of a sound registry with every kind of row.
fn sound() -> &'static [u8] {
    static SOUND: OnceLock<Vec<u8>> = OnceLock::new();
    SOUND.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("registry.db");
        on_its_own(async {
            let registry = Registry::open(&file, Options::default()).unwrap();
            let lease = registry.grant(Duration::from_secs(3600)).await.unwrap();
            for step in 0..40 {
                let value = vec![b'v'; step * 50];
                let txn = Txn::new().put(format!("/key/{}", step % 15), value);
                registry
                    .txn(txn.put_with_lease("/leased", "", lease))
                    .await
                    .unwrap();
                registry
                    .txn(Txn::new().delete(format!("/key/{}", step % 7)))
                    .await
                    .unwrap();
            }
            registry.compact(Revision(20)).await.unwrap();
            registry.close().await;
        });
        fs::read(file).unwrap()
    })
}

fn on_its_own<T>(work: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().build().unwrap().block_on(work)
}

/// Uses everything; errors are fine.
async fn use_all(registry: &Registry) {
    let _ = registry.range("", None, 100).await;
    let _ = registry.count("").await;
    let _ = registry.get("/key/3").await;
    let _ = registry
        .txn(Txn::new().put("/key/3", "new").delete("/key/8"))
        .await;
    let end = registry.current_revision();
    let mut watch = registry.watch("", Revision(21));
    while let Ok(Some(Ok(batch))) =
        tokio::time::timeout(Duration::from_secs(10), watch.next()).await
    {
        if batch.revision >= end {
            break;
        }
    }
    let _ = registry.compact(end).await;
    let lease = registry.grant(Duration::from_secs(60)).await;
    if let Ok(lease) = lease {
        let _ = registry.revoke(lease).await;
    }
    registry.close().await;
}

fn damaged(file: &Path, damage: &[(prop::sample::Index, u8)]) -> Vec<u8> {
    let mut bytes = sound().to_vec();
    for (n, (at, byte)) in damage.iter().enumerate() {
        // Every other one in the header, where most of the structure is.
        let span = if n % 2 == 0 { bytes.len() } else { 100 };
        bytes[at.index(span)] = *byte;
    }
    fs::write(file, &bytes).unwrap();
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn damaged_registry_is_refused_untouched_or_answers(
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("registry.db");
        let bytes = damaged(&file, &damage);
        match Registry::open(&file, Options { backup: false, ..Options::default() }) {
            Ok(registry) => on_its_own(use_all(&registry)),
            Err(RegistryError::Corrupt { .. } | RegistryError::TooNew { .. }) => {
                prop_assert!(fs::read(&file).unwrap() == bytes, "a refused file was changed");
            }
            Err(error) => prop_assert!(false, "{error}"),
        }
    }
}
