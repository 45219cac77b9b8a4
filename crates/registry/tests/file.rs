//! The file: what is not a sound registry is refused and left as it is; two processes cannot have
//! it; the backup beside it is a whole registry.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use kinglet_registry::{Options, Registry, RegistryError, Revision, Txn};
use tempfile::TempDir;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("registry.db");
    (folder, file)
}

/// A registry of a few hundred pages, closed.
async fn filled(file: &Path) {
    let registry = Registry::open(file, Options::default()).unwrap();
    for step in 0..60 {
        let txn = Txn::new().put(format!("/key/{step}"), vec![b'v'; 9000]);
        registry.txn(txn).await.unwrap();
    }
    registry.close().await;
}

/// Every file beside the registry but SQLite's index of the log, which holds no data, and the lock.
fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            !path.to_string_lossy().ends_with("-shm") && path.extension().unwrap() != "lock"
        })
        .map(|path| (path.clone(), fs::read(&path).unwrap()))
        .filter(|(_, bytes)| !bytes.is_empty())
        .collect()
}

/// Opening must fail, the same way twice, and change nothing.
fn refused(file: &Path) -> RegistryError {
    let before = contents(file.parent().unwrap());
    let error = Registry::open(file, Options::default()).err().unwrap();
    let again = Registry::open(file, Options::default()).err().unwrap();
    assert_eq!(error.to_string(), again.to_string());
    assert_eq!(
        before,
        contents(file.parent().unwrap()),
        "a refused file was changed"
    );
    error
}

fn refused_as_corrupt(file: &Path, why: &str) -> String {
    match refused(file) {
        RegistryError::Corrupt {
            path,
            reason,
            remedy,
        } => {
            assert_eq!(path, file);
            assert!(reason.contains(why), "{reason:?} does not say {why:?}");
            remedy
        }
        other => panic!("{other}"),
    }
}

#[test]
fn empty_and_garbage_files_are_refused_and_kept() {
    let (_folder, file) = folder();
    fs::write(&file, "").unwrap();
    let remedy = refused_as_corrupt(&file, "empty");
    assert!(remedy.contains("start with an empty one"), "{remedy}");
    fs::write(
        &file,
        b"\x7fELF is not a database, however long it may be".repeat(200),
    )
    .unwrap();
    refused_as_corrupt(&file, "not a SQLite database");
    fs::write(&file, b"SQLite format 3\0 and then nothing").unwrap();
    refused_as_corrupt(&file, "cut off");
    let mut header = b"SQLite format 3\0".to_vec();
    header.resize(4096, 0xa5);
    fs::write(&file, header).unwrap();
    refused_as_corrupt(&file, "another program");
}

#[test]
fn database_of_another_program_is_refused_and_kept() {
    let (_folder, file) = folder();
    let other = rusqlite::Connection::open(&file).unwrap();
    other
        .execute_batch("PRAGMA journal_mode=wal; CREATE TABLE cookies (id); ")
        .unwrap();
    drop(other);
    refused_as_corrupt(&file, "another program");
}

#[tokio::test]
async fn our_header_without_our_tables_is_refused_and_kept() {
    let (_folder, file) = folder();
    filled(&file).await;
    let db = rusqlite::Connection::open(&file).unwrap();
    db.execute_batch("DROP TABLE counters").unwrap();
    drop(db);
    refused_as_corrupt(&file, "counters");
}

#[tokio::test]
async fn truncated_file_is_refused_wherever_it_is_cut() {
    let (_folder, file) = folder();
    filled(&file).await;
    let whole = fs::read(&file).unwrap();
    for cut in [
        99,
        4096,
        5000,
        whole.len() / 2,
        whole.len() - 4096,
        whole.len() - 1,
    ] {
        fs::write(&file, &whole[..cut]).unwrap();
        let remedy = refused_as_corrupt(&file, "cut off");
        assert!(remedy.contains("registry.backup.db"), "{remedy}");
    }
    fs::write(&file, &whole).unwrap();
    let registry = Registry::open(&file, Options::default()).unwrap();
    assert_eq!(registry.current_revision(), Revision(60));
}

#[tokio::test]
async fn overwritten_pages_are_refused() {
    let (_folder, file) = folder();
    filled(&file).await;
    // The root pages of the tables; damage inside a value is not structure and not found so.
    for page in 1..=6 {
        let whole = fs::read(&file).unwrap();
        let damaged = File::options().write(true).open(&file).unwrap();
        damaged.write_all_at(&[0xff; 512], page * 4096).unwrap();
        refused_as_corrupt(&file, "");
        fs::write(&file, whole).unwrap();
    }
}

#[tokio::test]
async fn damaged_file_with_a_write_ahead_log_is_not_written_to() {
    let (folder, file) = folder();
    filled(&file).await;
    // A registry that was not closed: its log is still beside it.
    let running = Registry::open(&file, Options::default()).unwrap();
    running
        .txn(Txn::new().put("/late", "in the log only"))
        .await
        .unwrap();
    let copy = folder.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for name in ["registry.db", "registry.db-wal"] {
        fs::copy(folder.path().join(name), copy.join(name)).unwrap();
    }
    let copied = copy.join("registry.db");
    let length = fs::metadata(&copied).unwrap().len();
    let damaged = File::options().write(true).open(&copied).unwrap();
    damaged
        .write_all_at(&vec![0x5a; 8192], length / 2 / 4096 * 4096)
        .unwrap();
    damaged.write_all_at(&[0xff; 4096], 2 * 4096).unwrap();
    drop(damaged);
    refused_as_corrupt(&copied, "");
    assert!(fs::metadata(copy.join("registry.db-wal")).unwrap().len() > 0);
}

#[test]
fn log_without_its_file_is_refused_and_kept() {
    let (_folder, file) = folder();
    fs::write(file.with_file_name("registry.db-wal"), "frames").unwrap();
    refused_as_corrupt(&file, "is gone");
    assert!(!file.exists());
}

#[tokio::test]
async fn file_of_a_newer_program_is_refused_and_kept() {
    let (_folder, file) = folder();
    filled(&file).await;
    let db = rusqlite::Connection::open(&file).unwrap();
    db.pragma_update(None, "user_version", 7).unwrap();
    drop(db);
    let error = refused(&file);
    assert!(
        matches!(
            error,
            RegistryError::TooNew {
                found: 7,
                supported: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn second_opening_is_busy_until_the_first_is_closed() {
    let (_folder, file) = folder();
    let first = Registry::open(&file, Options::default()).unwrap();
    let second = Registry::open(&file, Options::default());
    assert!(matches!(second, Err(RegistryError::Busy { .. })));
    first.close().await;
    let third = Registry::open(&file, Options::default()).unwrap();
    // A watch that is still held does not keep the file open, nor does it hinder the end.
    let watch = third.watch("", Revision(1));
    third.close().await;
    drop(third);
    drop(Registry::open(&file, Options::default()).unwrap());
    Registry::open(&file, Options::default()).unwrap();
    drop(watch);
}

#[tokio::test]
async fn only_the_owner_may_read_any_of_the_files() {
    let (folder, file) = folder();
    filled(&file).await;
    let registry = Registry::open(&file, Options::default()).unwrap();
    registry.txn(Txn::new().put("/a", "")).await.unwrap();
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{entry:?}"
        );
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(
        names,
        [
            "registry.backup.db",
            "registry.db",
            "registry.db-shm",
            "registry.db-wal",
            "registry.lock"
        ]
    );
}

#[tokio::test]
async fn backup_is_renewed_when_old_and_restores_by_copying() {
    let (_folder, file) = folder();
    let backup = file.with_file_name("registry.backup.db");
    filled(&file).await;
    // The one made at the first opening is of today and empty.
    drop(Registry::open(&file, Options::default()).unwrap());
    let age = |days: u64| {
        let then = SystemTime::now() - Duration::from_secs(days * 24 * 3600 + 60);
        File::options()
            .write(true)
            .open(&backup)
            .unwrap()
            .set_modified(then)
            .unwrap();
    };
    age(1);
    drop(Registry::open(&file, Options::default()).unwrap());
    fs::remove_file(&file).unwrap();
    fs::copy(&backup, &file).unwrap();
    let restored = Registry::open(&file, Options::default()).unwrap();
    assert_eq!(restored.current_revision(), Revision(60));
    assert_eq!(
        restored.get("/key/59").await.unwrap().unwrap().value.len(),
        9000
    );
    restored.txn(Txn::new().put("/after", "")).await.unwrap();
    restored.close().await;
    // A registry begun anew must not push the good copy out.
    fs::remove_file(&file).unwrap();
    age(2);
    let kept = fs::read(&backup).unwrap();
    drop(Registry::open(&file, Options::default()).unwrap());
    assert!(
        fs::read(&backup).unwrap() == kept,
        "the backup was replaced by an empty one"
    );
}

#[tokio::test]
async fn lease_lives_on_over_a_restart_and_then_ends() {
    let (_folder, file) = folder();
    let registry = Registry::open(&file, Options::default()).unwrap();
    let long = registry.grant(Duration::from_secs(3600)).await.unwrap();
    let short = loop {
        // On a busy machine the lease may end before the keys are put.
        let short = registry.grant(Duration::from_millis(200)).await.unwrap();
        let txn = Txn::new()
            .put_with_lease("/long", "", long)
            .put_with_lease("/short", "", short);
        if registry.txn(txn).await.is_ok() {
            break short;
        }
    };
    registry.close().await;
    let registry = Registry::open(&file, Options::default()).unwrap();
    let mut watch = registry.watch("", Revision(2));
    let ended = watch.next().await.unwrap().unwrap();
    assert_eq!(ended.events.len(), 1);
    assert_eq!(ended.events[0].entry.key.as_str(), "/short");
    registry.keep_alive(long).await.unwrap();
    assert!(registry.grant(Duration::from_secs(1)).await.unwrap() > short);
}

#[tokio::test]
async fn compaction_leaves_one_row_for_each_present_key_and_nothing_else() {
    let (_folder, file) = folder();
    let registry = Registry::open(&file, Options::default()).unwrap();
    for step in 0..20 {
        registry
            .txn(Txn::new().put("/a", step.to_string()).put("/b", ""))
            .await
            .unwrap();
        registry
            .txn(Txn::new().delete("/b").put(format!("/c/{}", step % 4), ""))
            .await
            .unwrap();
    }
    registry.compact(Revision(7)).await.unwrap();
    registry.compact(Revision(40)).await.unwrap();
    assert_eq!(registry.count("").await.unwrap(), 5);
    registry.close().await;
    let db = rusqlite::Connection::open(&file).unwrap();
    let rows: u32 = db
        .query_row("SELECT count(*) FROM log", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 5);
}
