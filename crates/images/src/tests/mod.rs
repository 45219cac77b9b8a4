//! The library on real folders: what people and programs do to files, and what must come of it. Every
//! wait is for a state of the registry, woken by its own events.

mod arriving;
mod digests;
mod lasting;
mod moving;
mod random;
mod requests;
mod strange;
mod uploads;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kinglet_disk::Probe;
use kinglet_model::image::{ImagePhase, ImageUser};
use kinglet_model::{Id, Image, Name, Resource as _};
use kinglet_registry::Registry;
use tempfile::TempDir;
use tokio::time::{Instant, timeout_at};

use crate::inspect::{Disk, Inspect, Reading, Step, Unread};
use crate::{Folder, Library, LibraryConfig};

/// How long anything is waited for.
const DEADLINE: Duration = Duration::from_secs(30);

/// Looks at files as the real one does, and counts.
#[derive(Default)]
struct Counting {
    looks: AtomicUsize,
    reads: AtomicUsize,
}

impl Inspect for Counting {
    fn look(&self, file: &File) -> Result<Probe, String> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        Disk.look(file)
    }

    fn read(&self, file: &File, probe: &Probe, step: &mut Step<'_>) -> Result<Reading, Unread> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        Disk.read(file, probe, step)
    }
}

/// A library on a folder of its own.
struct Shelf {
    folder: Arc<TempDir>,
    registry: Registry,
    library: Library,
    counting: Arc<Counting>,
}

impl Shelf {
    fn new() -> Self {
        Self::on(
            Arc::new(tempfile::tempdir().unwrap()),
            Registry::in_memory(),
            |_| {},
        )
    }

    fn on(folder: Arc<TempDir>, registry: Registry, set: impl FnOnce(&mut LibraryConfig)) -> Self {
        let place = Folder {
            name: "images".into(),
            path: folder.path().into(),
        };
        let mut config = LibraryConfig::new(vec![place]);
        set(&mut config);
        let counting = Arc::new(Counting::default());
        let library = Library::with_inspector(config, registry.clone(), counting.clone()).unwrap();
        library.start();
        Self {
            folder,
            registry,
            library,
            counting,
        }
    }

    /// Ends the library and starts another on the same folder and registry.
    async fn restart(self) -> Self {
        self.stop().await;
        Self::on(self.folder, self.registry, |_| {})
    }

    async fn stop(&self) {
        self.library.shutdown().await;
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn images(&self) -> Vec<Image> {
        self.registry.list_all::<Image>().await.unwrap().items
    }

    /// Waits until the images are so.
    async fn until(&self, what: &str, so: impl Fn(&[Image]) -> bool) -> Vec<Image> {
        let deadline = Instant::now() + DEADLINE;
        let mut changes = self
            .registry
            .watch("/images/", self.registry.current_revision().next());
        loop {
            let images = self.images().await;
            if so(&images) {
                return images;
            }
            let next = timeout_at(deadline, changes.next()).await;
            assert!(next.is_ok(), "not in time: {what}; there is {images:#?}");
        }
    }

    /// Waits until the one image at this path is in this phase.
    async fn at(&self, path: &str, phase: ImagePhase) -> Image {
        let at = |images: &[Image]| {
            let found = |image: &&Image| image.spec.path == path && image.status.phase == phase;
            images.iter().find(found).cloned()
        };
        let images = self
            .until(&format!("{path} {phase}"), |images| at(images).is_some())
            .await;
        at(&images).unwrap()
    }

    /// Waits until the image is ready and hashed.
    async fn done(&self, path: &str) -> Image {
        let at = |images: &[Image]| {
            let done = |image: &&Image| {
                image.spec.path == path
                    && image.status.phase == ImagePhase::Ready
                    && image.status.sha256.is_some()
            };
            images.iter().find(done).cloned()
        };
        let images = self
            .until(&format!("{path} done"), |images| at(images).is_some())
            .await;
        at(&images).unwrap()
    }

    /// A VM begins to use the image.
    async fn used_by(&self, id: Id, vm: &str) {
        let mut image = self.registry.fetch::<Image>(id).await.unwrap().unwrap();
        image.status.users.push(ImageUser {
            kind: "Vm".into(),
            id: Id::generate(),
            name: vm.parse::<Name>().unwrap(),
            role: "disk".into(),
        });
        self.registry.update(&mut image).await.unwrap();
    }

    /// Nobody uses the image any more.
    async fn freed(&self, id: Id) {
        let mut image = self.registry.fetch::<Image>(id).await.unwrap().unwrap();
        image.status.users.clear();
        self.registry.update(&mut image).await.unwrap();
    }

    fn reads(&self) -> usize {
        self.counting.reads.load(Ordering::SeqCst)
    }
}

/// A disk with something on it.
fn disk(seed: u8) -> Vec<u8> {
    (0..64 << 10).map(|n: u32| (n % 251) as u8 ^ seed).collect()
}

fn qcow2(path: &Path, size: &str) {
    run(Command::new("qemu-img")
        .args(["create", "-q", "-f", "qcow2"])
        .arg(path)
        .arg(size));
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn has(image: &Image, condition: &str) -> bool {
    image
        .status
        .conditions
        .iter()
        .any(|found| found.name == condition)
}

fn write(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
}
