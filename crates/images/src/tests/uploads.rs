//! Uploads, from the announcement to the finished image, and everything that can come in between.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use bytes::Bytes;
use futures::{StreamExt, stream};
use kinglet_model::Digest;
use kinglet_model::image::ImageAction;
use sha2::Digest as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::*;
use crate::{Checksum, NewUpload};

/// A little more than is read in one go with looking at a file.
const LARGE: usize = 3 << 20;

fn new(name: &str, length: usize) -> NewUpload {
    NewUpload {
        file_name: name.into(),
        folder: None,
        length: length as u64,
        sha256: None,
        resumable: true,
    }
}

fn body(bytes: &[u8]) -> impl futures::Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static {
    let frames: Vec<_> = bytes
        .chunks(10_007)
        .map(|frame| Ok(Bytes::copy_from_slice(frame)))
        .collect();
    stream::iter(frames)
}

fn large() -> Vec<u8> {
    (0..LARGE).map(|n| (n % 253) as u8).collect()
}

fn sha256(bytes: &[u8]) -> Digest {
    Digest::from_bytes(sha2::Sha256::digest(bytes).into())
}

impl Shelf {
    /// The names in the hidden folder.
    fn unfinished(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(".kinglet-uploads")) else {
            return Vec::new();
        };
        let name = |entry: io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string();
        entries.map(|entry| name(entry).unwrap()).collect()
    }

    async fn image(&self, id: Id) -> Option<Image> {
        self.registry.fetch(id).await.unwrap()
    }
}

#[tokio::test]
async fn upload_is_an_image_from_the_first_byte_and_is_not_read_again() {
    let shelf = Shelf::new();
    let uploads = shelf.library.uploads();
    let bytes = large();
    let image = uploads.create(new("a.img", LARGE)).await.unwrap();
    let id = image.metadata.id;
    assert_eq!(image.status.phase, ImagePhase::Uploading);
    assert_eq!(image.metadata.name.as_str(), "a");
    assert_eq!(
        image.permit(ImageAction::CreateVm).unwrap_err().code,
        "image-not-ready"
    );
    assert!(shelf.library.delete(id, None).await.is_err());
    assert!(shelf.library.check(id, None).await.is_err());
    let (first, second) = bytes.split_at(1_234_567);
    let state = uploads.append(id, 0, None, body(first)).await.unwrap();
    assert_eq!(state.offset, first.len() as u64);
    assert_eq!(uploads.state(id).await.unwrap(), state);
    assert_eq!(state.digest, Some(sha256(first)));
    assert!(!shelf.path("a.img").exists());
    shelf.library.refresh().await.unwrap();
    let shelf = shelf.restart().await;
    let uploads = shelf.library.uploads();
    let state = uploads
        .append(id, state.offset, None, body(second))
        .await
        .unwrap();
    assert_eq!((state.offset, state.expires), (LARGE as u64, None));
    let done = shelf.done("a.img").await;
    assert_eq!(
        (done.metadata.id, done.status.sha256),
        (id, Some(sha256(&bytes)))
    );
    assert!(fs::read(shelf.path("a.img")).unwrap() == bytes);
    assert_eq!(shelf.reads(), 0);
    assert_eq!(shelf.images().await.len(), 1);
    assert_eq!(shelf.unfinished(), Vec::<String>::new());
    assert_eq!(uploads.state(id).await.unwrap().offset, LARGE as u64);
    assert_eq!(
        uploads.cancel(id).await.unwrap_err().code,
        "image-not-in-the-making"
    );
    let report = shelf.library.refresh().await.unwrap();
    assert_eq!((report.added, report.changed), (0, 0));
    shelf.stop().await;
}

#[tokio::test]
async fn only_the_durable_offset_is_taken_and_only_one_writer() {
    let shelf = Shelf::new();
    let uploads = shelf.library.uploads();
    let id = uploads.create(new("a.img", 10)).await.unwrap().metadata.id;
    let wrong = uploads.append(id, 4, None, body(b"x")).await.unwrap_err();
    assert_eq!(wrong.code, "upload-offset");
    let (sender, receiver) = mpsc::channel(1);
    let first = tokio::spawn({
        let uploads = uploads.clone();
        async move {
            let body = ReceiverStream::new(receiver);
            uploads.append(id, 0, None, body).await
        }
    });
    sender.send(Ok(Bytes::from_static(b"hello"))).await.unwrap();
    // Taken: the first one has it.
    let _permit = sender.reserve().await.unwrap();
    let busy = uploads.append(id, 0, None, body(b"x")).await.unwrap_err();
    assert_eq!(busy.code, "upload-busy");
    drop(_permit);
    drop(sender);
    assert_eq!(first.await.unwrap().unwrap().offset, 5);
    let long = uploads.append(id, 5, None, body(b"toolong")).await;
    assert_eq!(long.unwrap_err().code, "upload-too-long");
    assert_eq!(uploads.state(id).await.unwrap().offset, 5);
    uploads.append(id, 5, None, body(b"world")).await.unwrap();
    shelf
        .until("placed", |_| shelf.path("a.img").exists())
        .await;
    assert_eq!(fs::read(shelf.path("a.img")).unwrap(), b"helloworld");
    shelf.stop().await;
}

#[tokio::test]
async fn what_breaks_off_counts_up_to_there() {
    let shelf = Shelf::new();
    let uploads = shelf.library.uploads();
    let id = uploads.create(new("a.img", 100)).await.unwrap().metadata.id;
    let broken = body(&[7; 40]).chain(stream::iter([Err(io::ErrorKind::ConnectionReset.into())]));
    let state = uploads.append(id, 0, None, broken).await.unwrap();
    assert_eq!(state.offset, 40);
    shelf.stop().await;
}

#[tokio::test]
async fn wrong_sums_leave_nothing() {
    let shelf = Shelf::new();
    let uploads = shelf.library.uploads();
    let id = uploads.create(new("a.img", 5)).await.unwrap().metadata.id;
    let wrong = Some(Checksum::Sha256([0; 32]));
    let refused = uploads.append(id, 0, wrong, body(b"hello")).await;
    assert_eq!(refused.unwrap_err().code, "checksum-mismatch");
    assert_eq!(uploads.state(id).await.unwrap().offset, 0);
    let right = Some(Checksum::Sha256(*sha256(b"hel").as_bytes()));
    let state = uploads.append(id, 0, right, body(b"hel")).await.unwrap();
    assert_eq!(state.offset, 3);
    uploads.append(id, 3, None, body(b"lo")).await.unwrap();

    let announced = NewUpload {
        sha256: Some(sha256(b"other")),
        ..new("b.img", 5)
    };
    let id = uploads.create(announced).await.unwrap().metadata.id;
    let refused = uploads.append(id, 0, None, body(b"hello")).await;
    assert_eq!(refused.unwrap_err().code, "digest-mismatch");
    assert!(shelf.image(id).await.is_none());
    assert!(!shelf.path("b.img").exists());
    assert_eq!(shelf.unfinished(), Vec::<String>::new());
    shelf.stop().await;
}

#[tokio::test]
async fn nothing_is_overwritten_and_two_cannot_have_one_place() {
    let shelf = Shelf::new();
    write(&shelf.path("a.img"), &disk(1));
    let uploads = shelf.library.uploads();
    let taken = uploads.create(new("a.img", 5)).await.unwrap_err();
    assert_eq!(taken.code, "image-exists");
    let id = uploads.create(new("b.img", 5)).await.unwrap().metadata.id;
    // The answer to the announcement may have been lost.
    let again = uploads.create(new("b.img", 5)).await.unwrap();
    assert_eq!(again.metadata.id, id);
    let taken = uploads.create(new("b.img", 6)).await.unwrap_err();
    assert_eq!(taken.code, "upload-exists");
    // Somebody else puts a file there meanwhile: it is an image of its own, and stays.
    write(&shelf.path("b.img"), &disk(2));
    shelf.done("b.img").await;
    let refused = uploads.append(id, 0, None, body(b"hello")).await;
    assert_eq!(refused.unwrap_err().code, "image-exists");
    assert!(fs::read(shelf.path("b.img")).unwrap() == disk(2));
    let image = shelf.image(id).await.unwrap();
    assert_eq!(image.status.phase, ImagePhase::Uploading);
    assert!(image.status.reason.unwrap().contains("already there"));
    // It is moved away: asking is enough to go on.
    fs::remove_file(shelf.path("b.img")).unwrap();
    assert_eq!(uploads.state(id).await.unwrap().offset, 5);
    assert_eq!(fs::read(shelf.path("b.img")).unwrap(), b"hello");
    shelf.stop().await;
}

#[tokio::test]
async fn cancelled_frees_everything_even_while_bytes_come() {
    let shelf = Shelf::new();
    let uploads = shelf.library.uploads();
    let id = uploads
        .create(new("a.img", 1 << 20))
        .await
        .unwrap()
        .metadata
        .id;
    let (sender, receiver) = mpsc::channel(1);
    let writer = tokio::spawn({
        let uploads = uploads.clone();
        async move {
            let body = ReceiverStream::new(receiver);
            uploads.append(id, 0, None, body).await
        }
    });
    sender.send(Ok(Bytes::from_static(b"hello"))).await.unwrap();
    drop(sender.reserve().await.unwrap());
    uploads.cancel(id).await.unwrap();
    let _ = writer.await.unwrap();
    assert!(shelf.image(id).await.is_none());
    assert_eq!(shelf.unfinished(), Vec::<String>::new());
    let progress = format!("/images/{id}/progress");
    assert_eq!(shelf.registry.live().get(&progress), None);
    assert_eq!(
        uploads.state(id).await.unwrap_err().code,
        "upload-not-found"
    );
    shelf.stop().await;
}

#[tokio::test]
async fn expired_uploads_and_orphans_are_swept_at_the_start_and_others_stay() {
    let shelf = Shelf::new();
    let uploads = shelf.library.uploads();
    let old = uploads.create(new("old.img", 9)).await.unwrap().metadata.id;
    let put = NewUpload {
        resumable: false,
        ..new("put.img", 9)
    };
    let put = uploads.create(put).await.unwrap().metadata.id;
    shelf.stop().await;
    let orphan = Id::generate();
    write(&shelf.path(&format!(".kinglet-uploads/{orphan}")), b"x");
    write(&shelf.path(".kinglet-uploads/notes"), b"not ours");
    let later = Arc::new(AtomicU64::new(6 * 24 * 3600));
    let clock = Arc::clone(&later);
    let set = move |config: &mut LibraryConfig| {
        config.uploads.clock =
            Arc::new(move || SystemTime::now() + Duration::from_secs(clock.load(Ordering::SeqCst)));
    };
    let shelf = Shelf::on(shelf.folder, shelf.registry, set.clone());
    shelf
        .until("swept", |images| images.iter().all(|it| it.id() != put))
        .await;
    assert_eq!(shelf.library.uploads().state(old).await.unwrap().offset, 0);
    shelf.library.refresh().await.unwrap();
    let mut left = shelf.unfinished();
    left.sort();
    assert_eq!(
        left,
        [old.to_string(), format!("{old}.record"), "notes".to_owned()]
    );
    shelf.stop().await;
    later.store(8 * 24 * 3600, Ordering::SeqCst);
    let shelf = Shelf::on(shelf.folder, shelf.registry, set);
    shelf.until("expired", |images| images.is_empty()).await;
    shelf.library.refresh().await.unwrap();
    assert_eq!(shelf.unfinished(), ["notes"]);
    shelf.stop().await;
}

#[tokio::test]
async fn an_upload_expires_while_the_program_runs() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let shelf = Shelf::on(folder, Registry::in_memory(), |config| {
        config.uploads.lifetime = Duration::from_secs(1);
    });
    let uploads = shelf.library.uploads();
    uploads.create(new("a.img", 9)).await.unwrap();
    shelf.until("expired", |images| images.is_empty()).await;
    shelf.stop().await;
}

#[tokio::test]
async fn killed_between_rename_and_registry_is_the_same_image() {
    let shelf = Shelf::new();
    let uploads = shelf.library.uploads();
    let id = uploads.create(new("a.img", 5)).await.unwrap().metadata.id;
    let before = shelf.image(id).await.unwrap();
    uploads.append(id, 0, None, body(b"hello")).await.unwrap();
    shelf.stop().await;
    // As it was in the registry at that moment.
    let mut image = shelf.image(id).await.unwrap();
    image.status = before.status;
    shelf.registry.update(&mut image).await.unwrap();
    let shelf = Shelf::on(shelf.folder, shelf.registry, |_| {});
    let images = shelf
        .until("taken up", |images| {
            images.iter().all(|it| {
                !matches!(
                    it.status.phase,
                    ImagePhase::Uploading | ImagePhase::Checking
                )
            })
        })
        .await;
    assert_eq!(images.len(), 1);
    assert_eq!(images[0].metadata.id, id);
    shelf.stop().await;
}

#[tokio::test]
async fn a_compressed_image_is_read_to_its_end_all_the_same() {
    let shelf = Shelf::new();
    let source = shelf.path("a.img");
    write(&source, &large());
    run(Command::new("gzip").arg(&source));
    let packed = fs::read(shelf.path("a.img.gz")).unwrap();
    let uploads = shelf.library.uploads();
    let cut = &packed[..packed.len() - 9];
    let id = uploads
        .create(new("b.img.gz", cut.len()))
        .await
        .unwrap()
        .metadata
        .id;
    uploads.append(id, 0, None, body(cut)).await.unwrap();
    let image = shelf.at("b.img.gz", ImagePhase::Damaged).await;
    assert_eq!(image.metadata.id, id);
    shelf.stop().await;
}

#[tokio::test]
async fn zero_bytes_are_finished_at_once() {
    let shelf = Shelf::new();
    let uploads = shelf.library.uploads();
    let image = uploads.create(new("a.img", 0)).await.unwrap();
    assert_ne!(image.status.phase, ImagePhase::Uploading);
    assert!(shelf.path("a.img").exists());
    shelf.stop().await;
}
