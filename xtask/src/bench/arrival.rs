//! From `close()` of a copied file to the event at a client, beside a bare inotify reader on the same
//! folder.

use std::fs;
use std::io::{BufRead, BufReader};
use std::mem::MaybeUninit;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::fs::inotify;

use super::{Figure, daemon, figure, median};

const ROUNDS: usize = 60;

pub fn measure(program: &Path) -> Result<Vec<Figure>> {
    let mut daemon = daemon(program)?;
    daemon.launch()?;
    let mut client = Client(
        daemon
            .command()
            .args(["--json", "events"])
            .stdout(Stdio::piped())
            .spawn()?,
    );
    let events = lines(client.0.stdout.take().context("no output")?);
    let closes = closes(&daemon.images())?;
    // The client is connected once it has seen a first file.
    let path = daemon.images().join("warm-up.raw");
    kinglet_tests::until("the client's first event", || {
        fs::write(&path, vec![1; 1 << 20])?;
        Ok(events.recv_timeout(Duration::from_millis(500)).ok())
    })?;
    daemon.image_in("warm-up", "ready")?;

    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let name = format!("file-{round}");
        let file = fs::File::create(daemon.images().join(format!("{name}.raw")))?;
        file.set_len(1 << 20)?;
        while closes.try_recv().is_ok() {}
        let start = Instant::now();
        drop(file);
        bare.push(
            closes
                .recv_timeout(Duration::from_secs(60))?
                .duration_since(start),
        );
        loop {
            let (at, line) = events.recv_timeout(Duration::from_secs(60))?;
            let later = ["\"checking\"", "\"ready\""]
                .iter()
                .any(|phase| line.contains(phase));
            if later && line.contains(&format!("\"{name}\"")) {
                ours.push(at.duration_since(start));
                break;
            }
        }
    }
    let (ours, bare) = (median(ours)?, median(bare)?);
    let share = ours.as_secs_f64() * 10.0;
    Ok(vec![
        figure(
            "close() → client's event, share of the promised 100 ms",
            format!("{:.1} %", share * 100.0),
            "under 100 %",
        ),
        figure(
            "the same, beside a bare inotify reader",
            format!("{:.0} ×", ours.as_secs_f64() / bare.as_secs_f64()),
            "",
        ),
    ])
}

struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn lines(output: impl std::io::Read + Send + 'static) -> Receiver<(Instant, String)> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send((Instant::now(), line)).is_err() {
                break;
            }
        }
    });
    receiver
}

/// When each writer's `close()` was seen by a reader that does nothing else.
fn closes(folder: &Path) -> Result<Receiver<Instant>> {
    let descriptor = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    inotify::add_watch(&descriptor, folder, inotify::WatchFlags::CLOSE_WRITE)?;
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&descriptor, &mut buffer);
        while reader.next().is_ok() {
            if sender.send(Instant::now()).is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}
