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

/// Set in the copy of this test that runs as nobody.
const AS_NOBODY: &str = "KINGLET_TEST_AS_NOBODY";

#[tokio::test]
async fn unreadable_file_spoils_nothing_and_is_read_when_it_can_be() {
    if rustix::process::geteuid().is_root() {
        let folder = tempfile::tempdir().unwrap();
        run(Command::new("chown").arg("65534").arg(folder.path()));
        // Somebody else's: the kernel does not tell nobody who writes to it.
        write(&folder.path().join("foreign.raw"), &disk(3));
        let test = std::env::current_exe().unwrap();
        let copy = folder.path().join(".test");
        fs::copy(test, &copy).unwrap();
        let mut again = Command::new("setpriv");
        again
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(copy);
        again.args([
            "--exact",
            "tests::strange::unreadable_file_spoils_nothing_and_is_read_when_it_can_be",
        ]);
        again
            .env(AS_NOBODY, folder.path())
            .env("TMPDIR", folder.path());
        tokio::task::spawn_blocking(move || run(&mut again))
            .await
            .unwrap();
        return;
    }
    let place = PathBuf::from(std::env::var_os(AS_NOBODY).expect("run the tests as root"));
    let shelf = Shelf::on(
        Arc::new(tempfile::tempdir().unwrap()),
        Registry::in_memory(),
        |config| {
            config.folders[0].path = place.clone();
            config.quiet = Duration::from_millis(50);
        },
    );
    shelf.done("foreign.raw").await;
    let closed = place.join("closed.raw");
    let set = |mode: &str| run(Command::new("chmod").arg(mode).arg(&closed));
    write(&place.join(".new"), &disk(1));
    run(Command::new("chmod").arg("000").arg(place.join(".new")));
    fs::rename(place.join(".new"), &closed).unwrap();
    write(&place.join("open.raw"), &disk(2));
    let image = shelf.at("closed.raw", ImagePhase::Unreadable).await;
    assert!(image.status.reason.unwrap().contains("read access"));
    shelf.done("open.raw").await;
    set("644");
    let read = shelf.done("closed.raw").await;
    assert_eq!(read.metadata.id, image.metadata.id);
    // A whole sub-folder: its images stay, as unreadable.
    fs::create_dir(place.join("sub")).unwrap();
    fs::rename(&closed, place.join("sub/closed.raw")).unwrap();
    shelf.done("sub/closed.raw").await;
    run(Command::new("chmod").arg("000").arg(place.join("sub")));
    let report = shelf.library.refresh().await.unwrap();
    assert_eq!(report.unreadable, 2);
    let image = shelf.at("sub/closed.raw", ImagePhase::Unreadable).await;
    assert_eq!(image.metadata.id, read.metadata.id);
    run(Command::new("chmod").arg("755").arg(place.join("sub")));
    shelf.done("sub/closed.raw").await;
    shelf.stop().await;
}

#[tokio::test]
async fn file_that_vanishes_in_a_storm_leaves_nothing_behind() {
    let shelf = Shelf::new();
    for round in 0..200_u32 {
        let path = shelf.path(&format!("t{round}.raw"));
        write(&path, b"short-lived");
        fs::remove_file(&path).unwrap();
    }
    write(&shelf.path("last.raw"), &disk(1));
    shelf.done("last.raw").await;
    shelf.library.refresh().await.unwrap();
    shelf
        .until("only the last", |images| images.len() == 1)
        .await;
    shelf.stop().await;
}

/// Reading a very large file does not end before it is let go on.
struct Slow(std::sync::Mutex<std::sync::mpsc::Receiver<()>>);

impl Inspect for Slow {
    fn look(&self, file: &File) -> Result<Probe, String> {
        Disk.look(file)
    }

    fn read(&self, file: &File, probe: &Probe, step: &mut Step<'_>) -> Result<Reading, Unread> {
        if file
            .metadata()
            .is_ok_and(|metadata| metadata.len() > 1 << 30)
        {
            let _ = self.0.lock().unwrap().recv();
            return Err(Unread::Stopped);
        }
        Disk.read(file, probe, step)
    }
}

#[tokio::test]
async fn very_large_file_that_is_being_read_holds_up_no_other() {
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let (go_on, held) = std::sync::mpsc::channel();
    let place = Folder {
        name: "images".into(),
        path: folder.path().into(),
    };
    let registry = Registry::in_memory();
    let library = Library::with_inspector(
        LibraryConfig::new(vec![place]),
        registry.clone(),
        Arc::new(Slow(std::sync::Mutex::new(held))),
    )
    .unwrap();
    let shelf = Shelf {
        folder,
        registry,
        library,
        counting: Arc::default(),
    };
    let huge = File::create(shelf.path("huge.raw")).unwrap();
    huge.set_len(1 << 40).unwrap();
    drop(huge);
    shelf.library.start();
    shelf.at("huge.raw", ImagePhase::Ready).await;
    // Larger than what is read at the first look.
    write(&shelf.path("small.raw"), &vec![7; 2 << 20]);
    shelf.done("small.raw").await;
    drop(go_on);
    shelf.stop().await;
}

/// Set in the copy of this test that may open few files.
const WITH_FEW_FILES: &str = "KINGLET_TEST_WITH_FEW_FILES";

#[tokio::test]
async fn file_that_came_while_too_many_were_open_is_found_later() {
    if std::env::var_os(WITH_FEW_FILES).is_none() {
        let mut again = Command::new("prlimit");
        again
            .arg("--nofile=64:64")
            .arg(std::env::current_exe().unwrap());
        again.args([
            "--exact",
            "tests::strange::file_that_came_while_too_many_were_open_is_found_later",
        ]);
        again.env(WITH_FEW_FILES, "1");
        tokio::task::spawn_blocking(move || run(&mut again))
            .await
            .unwrap();
        return;
    }
    let shelf = Shelf::new();
    write(&shelf.path("first.raw"), &disk(1));
    shelf.done("first.raw").await;
    write(&shelf.path(".late"), &disk(2));
    let hoard: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    fs::rename(shelf.path(".late"), shelf.path("late.raw")).unwrap();
    // The keeper does one thing after the other: by then it has looked.
    let until = Instant::now() + Duration::from_millis(200);
    while Instant::now() < until {
        let _ = shelf.library.check(Id::generate(), None).await;
    }
    assert_eq!(shelf.images().await.len(), 1);
    drop(hoard);
    shelf.done("late.raw").await;
    shelf.stop().await;
}
