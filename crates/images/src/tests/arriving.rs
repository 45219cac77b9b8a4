//! Files on their way.

use std::io::Write;

use super::*;

#[tokio::test]
async fn file_being_written_is_arriving_until_its_writer_closes_it() {
    let shelf = Shelf::new();
    let mut file = File::create(shelf.path("debian-12.raw")).unwrap();
    let first = shelf.at("debian-12.raw", ImagePhase::Arriving).await;
    assert_eq!(first.metadata.name.as_str(), "debian-12");
    let live = format!("/images/{}/progress", first.metadata.id);
    let mut reader = shelf.registry.live().subscribe();
    file.write_all(&disk(0)).unwrap();
    let deadline = Instant::now() + DEADLINE;
    loop {
        let shown = shelf.registry.live().get(&live);
        if shown.is_some_and(|shown| shown["done"] == 64 << 10 && shown["task"] == "receiving") {
            break;
        }
        timeout_at(deadline, reader.next())
            .await
            .expect("no progress");
    }
    // Quiet, but held open: a scan does not think it is over.
    shelf.library.refresh().await.unwrap();
    let still = &shelf.images().await[0];
    assert_eq!(still.status.phase, ImagePhase::Arriving);
    drop(file);
    let ready = shelf.done("debian-12.raw").await;
    assert_eq!(ready.metadata.id, first.metadata.id);
    assert_eq!(ready.status.file_size.bytes(), 64 << 10);
    assert_eq!(shelf.registry.live().get(&live), None);
    shelf.stop().await;
}

#[tokio::test]
async fn rsync_is_one_image_with_one_id() {
    let shelf = Shelf::new();
    let source = tempfile::tempdir().unwrap();
    write(&source.path().join("debian.raw"), &disk(1));
    let revision = shelf.registry.current_revision();
    let mut rsync = Command::new("rsync");
    rsync
        .args(["-a", "--bwlimit=64"])
        .arg(source.path().join("debian.raw"))
        .arg(shelf.folder.path());
    tokio::task::spawn_blocking(move || run(&mut rsync))
        .await
        .unwrap();
    let ready = shelf.done("debian.raw").await;
    assert_eq!(ready.metadata.name.as_str(), "debian");
    // Nothing else was ever there.
    let mut watch = shelf.registry.watch("/images/", revision.next());
    let mut revision = revision;
    while revision < ready.metadata.revision {
        let batch = watch.next().await.unwrap().unwrap();
        revision = batch.revision;
        for event in batch.events {
            assert_eq!(
                event.entry.key.as_str(),
                format!("/images/{}", ready.metadata.id)
            );
        }
    }
    shelf.stop().await;
}

#[tokio::test]
async fn download_keeps_arriving_under_its_final_name_until_it_is_renamed() {
    let shelf = Shelf::new();
    write(&shelf.path("win.iso.part"), &disk(2));
    let part = shelf.at("win.iso.part", ImagePhase::Arriving).await;
    assert_eq!(part.metadata.name.as_str(), "win");
    shelf.library.refresh().await.unwrap();
    assert_eq!(shelf.images().await[0].status.phase, ImagePhase::Arriving);
    fs::rename(shelf.path("win.iso.part"), shelf.path("win.iso")).unwrap();
    let ready = shelf.done("win.iso").await;
    assert_eq!(ready.metadata.id, part.metadata.id);
    assert_eq!(shelf.images().await.len(), 1);
    shelf.stop().await;
}

#[tokio::test]
async fn broken_off_copy_is_damaged_and_says_why() {
    let shelf = Shelf::new();
    let whole = tempfile::tempdir().unwrap();
    let path = whole.path().join("a.qcow2");
    qcow2(&path, "1G");
    let bytes = fs::read(&path).unwrap();
    write(&shelf.path("a.qcow2"), &bytes[..bytes.len() / 2]);
    write(&shelf.path("empty.raw"), b"");
    let damaged = shelf.at("a.qcow2", ImagePhase::Damaged).await;
    assert!(damaged.status.reason.is_some());
    shelf.at("empty.raw", ImagePhase::Damaged).await;
    // Copied again, it is the same image, and well.
    write(&shelf.path("a.qcow2"), &bytes);
    let ready = shelf.done("a.qcow2").await;
    assert_eq!(ready.metadata.id, damaged.metadata.id);
    assert_eq!(ready.status.reason, None);
    shelf.stop().await;
}

#[tokio::test]
async fn image_that_names_another_file_is_damaged() {
    let shelf = Shelf::new();
    let elsewhere = tempfile::tempdir().unwrap();
    qcow2(&elsewhere.path().join("base.qcow2"), "16M");
    run(Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b"])
        .arg(elsewhere.path().join("base.qcow2"))
        .arg(shelf.path("overlay.qcow2")));
    let damaged = shelf.at("overlay.qcow2", ImagePhase::Damaged).await;
    assert!(damaged.status.reason.unwrap().contains("base.qcow2"));
    shelf.stop().await;
}

#[tokio::test]
async fn where_the_kernel_tells_nothing_scans_find_everything() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let shelf = Shelf::on(folder, Registry::in_memory(), |config| {
        config.events = false;
        config.poll = Duration::from_millis(50);
    });
    let mut file = File::create(shelf.path("a.raw")).unwrap();
    let first = shelf.at("a.raw", ImagePhase::Arriving).await;
    file.write_all(&disk(3)).unwrap();
    drop(file);
    shelf.done("a.raw").await;
    fs::rename(shelf.path("a.raw"), shelf.path("b.raw")).unwrap();
    let moved = shelf.done("b.raw").await;
    assert_eq!(moved.metadata.id, first.metadata.id);
    assert!(matches!(
        shelf.library.folders()[0].watching,
        crate::Watching::Scans { .. }
    ));
    fs::remove_file(shelf.path("b.raw")).unwrap();
    shelf.until("nothing", <[Image]>::is_empty).await;
    shelf.stop().await;
}
