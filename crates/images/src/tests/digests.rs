//! Lists of digests beside images.

use super::*;

fn sum(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

#[tokio::test]
async fn list_verifies_and_contradicts() {
    let shelf = Shelf::new();
    let source = tempfile::tempdir().unwrap();
    for (name, seed) in [("good.raw", 1), ("bad.raw", 2)] {
        write(&source.path().join(name), &disk(seed));
    }
    let good = sum(&source.path().join("good.raw"));
    write(
        &shelf.path("SHA256SUMS"),
        format!("{good}  good.raw\n{good}  bad.raw\n").as_bytes(),
    );
    fs::copy(source.path().join("good.raw"), shelf.path("good.raw")).unwrap();
    fs::copy(source.path().join("bad.raw"), shelf.path("bad.raw")).unwrap();
    let image = shelf.done("good.raw").await;
    assert_eq!(image.status.sha256.unwrap().to_string(), good);
    assert!(has(&image, "verified"));
    let image = shelf.at("bad.raw", ImagePhase::Damaged).await;
    let reason = image.status.reason.clone().unwrap();
    assert!(
        reason.contains(&good) && reason.contains(&sum(&shelf.path("bad.raw"))),
        "{reason}"
    );
    assert_eq!(shelf.images().await.len(), 2, "a list is not an image");
    shelf.stop().await;
}

#[tokio::test]
async fn list_that_comes_late_judges_without_reading_again() {
    let shelf = Shelf::new();
    write(&shelf.path("a.raw"), &disk(1));
    shelf.done("a.raw").await;
    let reads = shelf.reads();
    let right = sum(&shelf.path("a.raw"));
    let wrong = "0".repeat(64);
    write(&shelf.path("a.raw.sha256"), wrong.as_bytes());
    shelf.at("a.raw", ImagePhase::Damaged).await;
    write(&shelf.path("a.raw.sha256"), right.as_bytes());
    let image = shelf.at("a.raw", ImagePhase::Ready).await;
    assert!(has(&image, "verified") && !has(&image, "mismatch"));
    fs::remove_file(shelf.path("a.raw.sha256")).unwrap();
    shelf
        .until("not verified any more", |images| {
            !has(&images[0], "verified")
        })
        .await;
    assert_eq!(shelf.reads(), reads);
    shelf.stop().await;
}
