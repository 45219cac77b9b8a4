//! What else lies about in folders.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;

use super::*;

#[tokio::test]
async fn links_pipes_and_companions_are_no_images() {
    let shelf = Shelf::new();
    let outside = tempfile::tempdir().unwrap();
    write(&outside.path().join("a.raw"), &disk(1));
    symlink(outside.path().join("a.raw"), shelf.path("link.raw")).unwrap();
    symlink(outside.path(), shelf.path("folder")).unwrap();
    run(Command::new("mkfifo").arg(shelf.path("pipe.raw")));
    write(&shelf.path("README.md"), b"x");
    write(&shelf.path(".hidden.raw"), b"x");
    fs::create_dir(shelf.path(".hidden")).unwrap();
    write(&shelf.path(".hidden/b.raw"), b"x");
    write(&shelf.path("real.raw"), &disk(2));
    shelf.done("real.raw").await;
    let report = shelf.library.refresh().await.unwrap();
    assert_eq!((report.seen, report.ignored, report.unreadable), (1, 3, 0));
    assert_eq!(shelf.images().await.len(), 1);
    shelf.stop().await;
}

#[tokio::test]
async fn name_that_is_not_text_is_shown_and_opened() {
    let shelf = Shelf::new();
    let path = shelf
        .folder
        .path()
        .join(OsStr::from_bytes(b"d\xffsk\n.raw"));
    write(&path, &disk(1));
    let image = shelf.done("d\\xffsk\\x0a.raw").await;
    assert_eq!(shelf.library.locate(&image).unwrap(), path);
    shelf.library.delete(image.metadata.id, None).await.unwrap();
    assert!(!path.exists());
    shelf.stop().await;
}

#[tokio::test]
async fn files_moved_into_a_new_folder_at_once_are_found() {
    let shelf = Shelf::new();
    for round in 0..20 {
        let deep = shelf.path(&format!("n{round}/a/b"));
        fs::create_dir_all(&deep).unwrap();
        write(&deep.join("x.raw"), &disk(round));
    }
    shelf
        .until("all of them", |images| {
            images.len() == 20
                && images
                    .iter()
                    .all(|image| image.status.phase == ImagePhase::Ready)
        })
        .await;
    fs::remove_dir_all(shelf.path("n3")).unwrap();
    shelf.until("one less", |images| images.len() == 19).await;
    shelf.stop().await;
}

#[tokio::test]
async fn folder_that_goes_away_and_comes_back_keeps_its_images() {
    let parent = Arc::new(tempfile::tempdir().unwrap());
    let place = parent.path().join("images");
    fs::create_dir(&place).unwrap();
    write(&place.join("a.raw"), &disk(1));
    let at = place.clone();
    let shelf = Shelf::on(parent, Registry::in_memory(), |config| {
        config.folders[0].path = at;
        config.poll = Duration::from_millis(50);
    });
    let id = shelf.done("a.raw").await.metadata.id;
    fs::rename(&place, shelf.path("away")).unwrap();
    shelf.at("a.raw", ImagePhase::Unreadable).await;
    assert!(matches!(
        shelf.library.folders()[0].watching,
        crate::Watching::Unavailable { .. }
    ));
    fs::rename(shelf.path("away"), &place).unwrap();
    assert_eq!(shelf.done("a.raw").await.metadata.id, id);
    assert_eq!(shelf.library.folders()[0].watching, crate::Watching::Events);
    shelf.stop().await;
}

#[tokio::test]
async fn second_name_of_a_file_is_an_image_of_its_own() {
    let shelf = Shelf::new();
    write(&shelf.path("a.raw"), &disk(1));
    let a = shelf.done("a.raw").await;
    fs::hard_link(shelf.path("a.raw"), shelf.path("b.raw")).unwrap();
    let b = shelf.done("b.raw").await;
    assert_ne!(a.metadata.id, b.metadata.id);
    fs::remove_file(shelf.path("a.raw")).unwrap();
    let left = shelf.until("one", |images| images.len() == 1).await;
    assert_eq!(left[0].metadata.id, b.metadata.id);
    shelf.stop().await;
}
