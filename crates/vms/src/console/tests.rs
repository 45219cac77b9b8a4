//! Viewers and writers without a VM.

use std::io::Write;

use kinglet_model::Id;

use super::*;

fn console(folder: &std::path::Path) -> (Console, Watcher) {
    let folder = Folder::of(folder, &folder.join("run"), Id::generate());
    folder.create().unwrap();
    std::fs::create_dir_all(folder.sockets()).unwrap();
    let watcher = Watcher::start(1 << 20).unwrap();
    let seat = watcher.add(folder.console_log()).unwrap();
    (Console::new(folder, seat), watcher)
}

fn say(console: &Console, text: &str) {
    let path = console.folder.console_log();
    let mut log = std::fs::OpenOptions::new().append(true).open(path).unwrap();
    log.write_all(text.as_bytes()).unwrap();
}

async fn hear(stream: &mut BoxStream<'static, io::Result<(u64, Bytes)>>, wanted: &str) {
    let mut heard = String::new();
    while heard != wanted {
        let (_, bytes) = stream.next().await.unwrap().unwrap();
        heard.push_str(std::str::from_utf8(&bytes).unwrap());
        assert!(wanted.starts_with(&heard), "{heard}");
    }
}

#[tokio::test]
async fn two_viewers_hear_everything_and_end_with_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let (console, _watcher) = console(folder.path());
    say(&console, "before ");
    let mut first = console.follow(0);
    let mut second = console.follow(console.end().unwrap());
    hear(&mut first, "before ").await;
    say(&console, "one ");
    hear(&mut first, "one ").await;
    say(&console, "two");
    hear(&mut first, "two").await;
    hear(&mut second, "one two").await;
    console.folder.remove().unwrap();
    assert!(first.next().await.is_none());
}

#[tokio::test]
async fn keyboard_is_given_to_one_and_can_be_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let (console, _watcher) = console(folder.path());
    console.folder.make_console_pipe().unwrap();
    assert!(matches!(
        console.claim_writer().await,
        Err(ClaimError::NotRunning(_))
    ));
    // As QEMU opens it: for both ways, so that it stays when the last writer goes.
    let keyboard = console.folder.keyboard();
    let mut options = std::fs::OpenOptions::new();
    let mut engine = options.read(true).write(true).open(keyboard).unwrap();
    let mut first = console.claim_writer().await.unwrap();
    assert!(matches!(
        console.claim_writer().await,
        Err(ClaimError::Taken)
    ));
    let mut second = console.steal_writer().await.unwrap();
    first.taken_over().await;
    assert!(matches!(first.send(b"x").await, Err(SendError::TakenOver)));
    drop(first);
    second.send(b"y").await.unwrap();
    let mut typed = [0];
    std::io::Read::read_exact(&mut engine, &mut typed).unwrap();
    assert_eq!(&typed, b"y");
    assert!(matches!(
        console.claim_writer().await,
        Err(ClaimError::Taken)
    ));
    drop(second);
    console.claim_writer().await.unwrap();
}

#[tokio::test]
async fn a_log_that_grows_is_kept_within_its_bound() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let (console, _watcher) = console(folder.path());
    let line = "x".repeat(1 << 18);
    let mut stream = console.follow(0);
    for _ in 0..16 {
        say(&console, &line);
        let mut heard = 0;
        while heard < line.len() {
            heard += stream.next().await.unwrap().unwrap().1.len();
        }
    }
    assert_eq!(console.end().unwrap(), 4 << 20);
    let kept = || {
        std::fs::metadata(console.folder.console_log())
            .unwrap()
            .blocks()
            * 512
    };
    let trimmed = async {
        while kept() > 2 << 20 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let patience = std::time::Duration::from_secs(30);
    tokio::time::timeout(patience, trimmed).await.unwrap();
    assert!(console.history(None, 10).unwrap().0 >= 2 << 20);
}
