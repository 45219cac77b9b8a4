//! What is asked through the handle.

use kinglet_model::problem::ProblemKind;

use super::*;

#[tokio::test]
async fn delete_removes_file_and_image_unless_somebody_needs_it() {
    let shelf = Shelf::new();
    write(&shelf.path("a.raw"), &disk(1));
    let image = shelf.done("a.raw").await;
    let id = image.metadata.id;
    shelf.used_by(id, "web-1").await;
    let refusal = shelf.library.delete(id, None).await.unwrap_err();
    assert_eq!(
        (refusal.kind, refusal.code.as_str()),
        (ProblemKind::Refused, "image-in-use")
    );
    assert!(refusal.detail.contains("web-1"));
    assert!(shelf.path("a.raw").exists());
    shelf.freed(id).await;
    let stale = shelf
        .library
        .delete(id, Some(image.metadata.revision))
        .await
        .unwrap_err();
    assert_eq!(stale.kind, ProblemKind::Changed);
    shelf.library.delete(id, None).await.unwrap();
    assert!(!shelf.path("a.raw").exists());
    assert!(shelf.images().await.is_empty());
    assert_eq!(
        shelf.library.delete(id, None).await.unwrap_err().kind,
        ProblemKind::NotFound
    );
    // The name is free again.
    write(&shelf.path("a.raw"), &disk(2));
    assert_eq!(shelf.done("a.raw").await.metadata.name.as_str(), "a");
    shelf.stop().await;
}

#[tokio::test]
async fn deletion_that_was_killed_half_way_brings_the_image_back() {
    let shelf = Shelf::new();
    write(&shelf.path("a.raw"), &disk(1));
    let id = shelf.done("a.raw").await.metadata.id;
    shelf.stop().await;
    let mut image = shelf.registry.fetch::<Image>(id).await.unwrap().unwrap();
    image.status.phase = ImagePhase::Missing;
    shelf.registry.update(&mut image).await.unwrap();
    let shelf = shelf.restart().await;
    shelf.done("a.raw").await;
    assert_eq!(shelf.images().await.len(), 1);
    shelf.stop().await;
}

#[tokio::test]
async fn check_reads_everything_again() {
    let shelf = Shelf::new();
    write(&shelf.path("a.raw"), &disk(1));
    let image = shelf.done("a.raw").await;
    let reads = shelf.reads();
    let checking = shelf.library.check(image.metadata.id, None).await.unwrap();
    assert_eq!(checking.status.phase, ImagePhase::Checking);
    assert_eq!(checking.status.sha256, None);
    let again = shelf.done("a.raw").await;
    assert_eq!(again.status.sha256, image.status.sha256);
    assert_eq!(shelf.reads(), reads + 1);
    shelf.stop().await;
}

/// As a VM does that is created from it, at the moment at which the page is opened.
#[tokio::test]
async fn a_new_link_of_a_file_is_no_reason_to_check_it_again() {
    let shelf = Shelf::new();
    write(&shelf.path("a.raw"), &disk(1));
    let image = shelf.done("a.raw").await;
    let outside = shelf.path("a.raw").with_file_name(".held");
    for _ in 0..20 {
        std::fs::hard_link(shelf.path("a.raw"), &outside).unwrap();
        shelf.library.refresh().await.unwrap();
        std::fs::remove_file(&outside).unwrap();
        shelf.library.refresh().await.unwrap();
    }
    let reads = shelf.reads();
    let after = shelf.done("a.raw").await;
    assert_eq!(
        (shelf.reads(), after.metadata.id),
        (reads, image.metadata.id)
    );
    assert_eq!(reads, 1, "it was read again");
    shelf.stop().await;
}

#[tokio::test]
async fn only_the_file_that_was_checked_is_opened() {
    let shelf = Shelf::new();
    write(&shelf.path("a.raw"), &disk(1));
    let image = shelf.done("a.raw").await;
    assert_eq!(shelf.library.locate(&image).unwrap(), shelf.path("a.raw"));
    write(&shelf.path("a.raw"), &disk(2));
    assert_eq!(
        shelf.library.open_image(&image).unwrap_err().code,
        "image-not-ready"
    );
    fs::remove_file(shelf.path("a.raw")).unwrap();
    assert_eq!(
        shelf.library.open_image(&image).unwrap_err().code,
        "image-unreadable"
    );
    let mut escaping = image.clone();
    escaping.spec.path = "../../etc/passwd".into();
    assert!(shelf.library.open_image(&escaping).is_err());
    shelf.stop().await;
}

#[tokio::test]
async fn folders_that_overlap_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    let at = |name: &str, path: PathBuf| Folder {
        name: name.into(),
        path,
    };
    let open = |folders| Library::open(LibraryConfig::new(folders), Registry::in_memory()).is_ok();
    assert!(!open(vec![
        at("a", folder.path().into()),
        at("b", folder.path().join("sub"))
    ]));
    assert!(!open(vec![
        at("a", folder.path().into()),
        at("a", "/elsewhere".into())
    ]));
    assert!(open(vec![
        at("a", folder.path().join("sub")),
        at("b", folder.path().join("subs"))
    ]));
}
