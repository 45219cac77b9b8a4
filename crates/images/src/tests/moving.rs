//! Rename, replace and remove, with and without a VM that uses the image.

use super::*;

#[tokio::test]
async fn rename_keeps_the_id_and_what_was_learned() {
    let shelf = Shelf::new();
    write(&shelf.path("a.raw"), &disk(1));
    let before = shelf.done("a.raw").await;
    let reads = shelf.reads();
    fs::create_dir(shelf.path("sub")).unwrap();
    fs::rename(shelf.path("a.raw"), shelf.path("sub/b.raw")).unwrap();
    let after = shelf.done("sub/b.raw").await;
    assert_eq!(after.metadata.id, before.metadata.id);
    assert_eq!(after.metadata.name.as_str(), "b");
    assert_eq!(after.status.sha256, before.status.sha256);
    fs::rename(shelf.path("sub"), shelf.path("other")).unwrap();
    let after = shelf.done("other/b.raw").await;
    assert_eq!(after.metadata.id, before.metadata.id);
    // The folder is still watched where it is now.
    fs::rename(shelf.path("other/b.raw"), shelf.path("c.raw")).unwrap();
    assert_eq!(shelf.done("c.raw").await.metadata.id, before.metadata.id);
    assert_eq!(shelf.images().await.len(), 1);
    assert_eq!(shelf.reads(), reads);
    shelf.stop().await;
}

#[tokio::test]
async fn swapped_files_keep_their_ids() {
    let shelf = Shelf::new();
    write(&shelf.path("a.raw"), &disk(1));
    write(&shelf.path("b.raw"), &disk(2));
    let (a, b) = (shelf.done("a.raw").await, shelf.done("b.raw").await);
    rustix::fs::renameat_with(
        rustix::fs::CWD,
        shelf.path("a.raw"),
        rustix::fs::CWD,
        shelf.path("b.raw"),
        rustix::fs::RenameFlags::EXCHANGE,
    )
    .unwrap();
    shelf
        .until("swapped", |images| {
            let path = |id| {
                &images
                    .iter()
                    .find(|image| image.metadata.id == id)
                    .unwrap()
                    .spec
                    .path
            };
            images.len() == 2 && path(a.metadata.id) == "b.raw" && path(b.metadata.id) == "a.raw"
        })
        .await;
    shelf.stop().await;
}

#[tokio::test]
async fn image_in_use_keeps_its_name_when_its_file_is_renamed() {
    let shelf = Shelf::new();
    write(&shelf.path("a.raw"), &disk(1));
    let id = shelf.done("a.raw").await.metadata.id;
    shelf.used_by(id, "web-1").await;
    fs::rename(shelf.path("a.raw"), shelf.path("b.raw")).unwrap();
    let image = shelf.done("b.raw").await;
    assert_eq!((image.metadata.id, image.metadata.name.as_str()), (id, "a"));
    assert!(has(&image, "renamed"));
    shelf.stop().await;
}

#[tokio::test]
async fn replaced_image_without_users_gives_its_name_to_the_new_one() {
    let shelf = Shelf::new();
    write(&shelf.path("a.raw"), &disk(1));
    let old = shelf.done("a.raw").await;
    let other = tempfile::tempdir_in(std::env::temp_dir()).unwrap();
    write(&other.path().join("new"), &disk(2));
    fs::rename(other.path().join("new"), shelf.path("a.raw")).unwrap();
    let images = shelf
        .until("the new one alone", |images| {
            images.len() == 1 && images[0].metadata.id != old.metadata.id
        })
        .await;
    assert_eq!(images[0].metadata.name.as_str(), "a");
    shelf.stop().await;
}

#[tokio::test]
async fn replaced_image_with_users_goes_missing_and_leaves_with_its_last_user() {
    let shelf = Shelf::new();
    write(&shelf.path("a.raw"), &disk(1));
    let old = shelf.done("a.raw").await.metadata.id;
    shelf.used_by(old, "web-1").await;
    let other = tempfile::tempdir_in(std::env::temp_dir()).unwrap();
    write(&other.path().join("new"), &disk(2));
    fs::rename(other.path().join("new"), shelf.path("a.raw")).unwrap();
    let images = shelf
        .until("old missing, new ready", |images| {
            let phase = |phase| {
                images
                    .iter()
                    .filter(|image| image.status.phase == phase)
                    .count()
            };
            phase(ImagePhase::Missing) == 1 && phase(ImagePhase::Ready) == 1
        })
        .await;
    let missing = images
        .iter()
        .find(|image| image.metadata.id == old)
        .unwrap();
    assert!(has(missing, "replaced"));
    assert!(missing.status.reason.as_ref().unwrap().contains("web-1"));
    shelf.freed(old).await;
    shelf
        .until("old gone", |images| {
            images.len() == 1 && images[0].metadata.id != old
        })
        .await;
    shelf.stop().await;
}

#[tokio::test]
async fn overwritten_image_says_so_to_its_user() {
    let shelf = Shelf::new();
    write(&shelf.path("a.raw"), &disk(1));
    let id = shelf.done("a.raw").await.metadata.id;
    shelf.used_by(id, "web-1").await;
    write(&shelf.path("a.raw"), &disk(2)[..32 << 10]);
    let images = shelf
        .until("replaced", |images| has(&images[0], "replaced"))
        .await;
    assert_eq!(images[0].metadata.id, id);
    let image = shelf.done("a.raw").await;
    assert_eq!(image.status.users.len(), 1);
    shelf.stop().await;
}

#[tokio::test]
async fn removed_file_that_comes_back_is_its_image_again() {
    let shelf = Shelf::new();
    write(&shelf.path("a.raw"), &disk(1));
    let id = shelf.done("a.raw").await.metadata.id;
    shelf.used_by(id, "web-1").await;
    let away = tempfile::tempdir_in(std::env::temp_dir()).unwrap();
    fs::rename(shelf.path("a.raw"), away.path().join("a")).unwrap();
    shelf.at("a.raw", ImagePhase::Missing).await;
    fs::rename(away.path().join("a"), shelf.path("a.raw")).unwrap();
    assert_eq!(shelf.done("a.raw").await.metadata.id, id);
    shelf.stop().await;
}
