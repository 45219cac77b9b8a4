//! Restarts, and libraries of many files.

use super::*;

#[tokio::test]
async fn restart_reads_nothing_again() {
    let shelf = Shelf::new();
    write(&shelf.path("a.raw"), &disk(1));
    let image = shelf.done("a.raw").await;
    let shelf = shelf.restart().await;
    shelf.library.refresh().await.unwrap();
    assert_eq!(shelf.counting.looks.load(Ordering::SeqCst), 0);
    assert_eq!(shelf.images().await, [image]);
    shelf.stop().await;
}

#[tokio::test]
async fn what_happened_while_nobody_watched_is_found_at_the_start() {
    let shelf = Shelf::new();
    for (name, seed) in [
        ("kept.raw", 1),
        ("renamed.raw", 2),
        ("removed.raw", 3),
        ("changed.raw", 4),
    ] {
        write(&shelf.path(name), &disk(seed));
    }
    let images = shelf
        .until("four", |images| {
            images.len() == 4 && images.iter().all(|image| image.status.sha256.is_some())
        })
        .await;
    let id = |path| {
        images
            .iter()
            .find(|image| image.spec.path == path)
            .unwrap()
            .metadata
            .id
    };
    shelf.stop().await;
    fs::rename(shelf.path("renamed.raw"), shelf.path("elsewhere.raw")).unwrap();
    fs::remove_file(shelf.path("removed.raw")).unwrap();
    write(&shelf.path("changed.raw"), &disk(5)[..4096]);
    write(&shelf.path("added.raw"), &disk(6));
    let shelf = shelf.restart().await;
    shelf.library.refresh().await.unwrap();
    shelf.done("added.raw").await;
    assert_eq!(
        shelf.done("changed.raw").await.metadata.id,
        id("changed.raw")
    );
    assert_eq!(
        shelf.done("elsewhere.raw").await.metadata.id,
        id("renamed.raw")
    );
    assert_eq!(shelf.done("kept.raw").await.metadata.id, id("kept.raw"));
    assert_eq!(shelf.images().await.len(), 4);
    shelf.stop().await;
}

#[tokio::test]
async fn refresh_that_could_not_save_what_it_found_says_so() {
    let data = tempfile::tempdir().unwrap();
    let options = kinglet_registry::Options {
        max_bytes: Some(128 << 10),
        ..kinglet_registry::Options::default()
    };
    let registry = Registry::open(&data.path().join("registry.db"), options).unwrap();
    let shelf = Shelf::on(Arc::new(tempfile::tempdir().unwrap()), registry, |_| {});
    for n in 0..400 {
        write(&shelf.path(&format!("disk-{n}.raw")), &[0; 512]);
    }
    let error = shelf.library.refresh().await.unwrap_err();
    let problem = kinglet_model::Problem::from(error);
    assert_eq!(problem.code, "no-space", "{}", problem.detail);
    shelf.stop().await;
}

#[tokio::test]
async fn ten_thousand_files_are_all_there() {
    const FILES: usize = 10_000;
    let folder = Arc::new(tempfile::tempdir().unwrap());
    for n in 0..FILES {
        let sub = folder.path().join(format!("d{}", n % 20));
        fs::create_dir_all(&sub).unwrap();
        fs::write(sub.join(format!("disk-{}.raw", n / 20)), n.to_le_bytes()).unwrap();
    }
    let shelf = Shelf::on(folder, Registry::in_memory(), |_| {});
    let report = shelf.library.refresh().await.unwrap();
    assert_eq!(report.seen, FILES as u64);
    assert_eq!(report.added, 0, "the start had found them all");
    let images = shelf.images().await;
    let names: std::collections::HashSet<_> = images
        .iter()
        .map(|image| image.metadata.name.clone())
        .collect();
    assert_eq!((images.len(), names.len()), (FILES, FILES));
    shelf.stop().await;
}
