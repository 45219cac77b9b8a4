//! What the kernel tells about the folders (inotify), gathered into what has to be looked at.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, Event, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use crate::kernel::readable;
use crate::kind::{Kind, is_entered, kind};
use crate::path::RelPath;

/// How long further events are gathered after the first: long enough for the second half of a
/// rename, short beside the 100 ms in which a file is to show.
const GATHER: Duration = Duration::from_millis(8);

/// How many events are gathered at most before they are worked on.
const MAX_GATHERED: usize = 4096;

/// A file's place: which folder (by its number in the configuration), and where in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The folder's number.
    pub(crate) folder: usize,
    /// Where in it.
    pub(crate) path: RelPath,
}

/// What has to be looked at.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Everything: events were lost.
    pub(crate) lost: bool,
    /// The scan was asked for: no event was lost, and those of the last moments are on their way.
    pub(crate) asked: bool,
    /// Folders to be scanned as a whole.
    pub(crate) folders: BTreeSet<usize>,
    /// Directories that appeared.
    pub(crate) trees: Vec<Place>,
    /// Files, and whether their content may have changed (not only their attributes).
    pub(crate) files: HashMap<Place, Touch>,
    /// Renames: from the new place to the old.
    pub(crate) moves: HashMap<Place, Place>,
    /// Lists of digests that are new, changed or gone.
    pub(crate) sums: BTreeSet<Place>,
    /// First halves of renames whose second has not been seen.
    halves: HashMap<u32, Place>,
    events: usize,
}

/// What happened to a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Touch {
    /// Bytes were written, or it came or went.
    pub(crate) content: bool,
    /// Something other than bytes being written happened: worth a look at once.
    pub(crate) turn: bool,
}

/// The kernel's watch over the folders.
#[derive(Debug)]
pub(crate) struct Watcher {
    fd: AsyncFd<OwnedFd>,
    directories: Mutex<Directories>,
}

/// Which directory a watch descriptor stands for.
#[derive(Debug, Default)]
struct Directories {
    places: HashMap<i32, Place>,
    /// Those met in the scan that is going on.
    met: BTreeSet<i32>,
}

impl Watcher {
    /// A watch over nothing yet.
    ///
    /// # Errors
    /// The system's limit of inotify instances.
    pub(crate) fn new() -> io::Result<Self> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self {
            fd: readable(fd)?,
            directories: Mutex::default(),
        })
    }

    /// Watches an open directory, which lies at the place. Watching it again is allowed, and tells
    /// where it lies now.
    ///
    /// # Errors
    /// The system's limit of watches.
    pub(crate) fn add(&self, directory: BorrowedFd<'_>, place: Place) -> io::Result<()> {
        // inotify takes only paths; this one leads to the very directory that is open.
        let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
        let mask = WatchFlags::CREATE
            | WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::DELETE
            | WatchFlags::ATTRIB
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR
            | WatchFlags::EXCL_UNLINK;
        let watch = inotify::add_watch(self.fd.get_ref().as_fd(), path, mask)?;
        let mut directories = self.lock();
        directories.places.insert(watch, place);
        directories.met.insert(watch);
        Ok(())
    }

    /// Begins a scan of a folder: what [`Self::add`] does not meet until [`Self::end_scan`] is no
    /// longer there.
    pub(crate) fn begin_scan(&self) {
        self.lock().met.clear();
    }

    /// Ends the scan of a folder.
    pub(crate) fn end_scan(&self, folder: usize) {
        let mut directories = self.lock();
        let Directories { places, met } = &mut *directories;
        places.retain(|watch, place| {
            let keep = place.folder != folder || met.contains(watch);
            if !keep {
                // It may be gone already, with its directory.
                let _ = inotify::remove_watch(self.fd.get_ref().as_fd(), *watch);
            }
            keep
        });
    }

    /// Waits for something to happen, and gathers what happens within a few milliseconds. Safe to
    /// cancel before anything happened; after that the events are in `changes`.
    ///
    /// # Errors
    /// The system's; then the watch is of no more use.
    pub(crate) async fn next(&self, changes: &mut Changes) -> io::Result<()> {
        while changes.events == 0 {
            let mut ready = self.fd.readable().await?;
            if !self.read(changes)? {
                ready.clear_ready();
            }
        }
        Ok(())
    }

    /// Waits a moment for what belongs to the events so far.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub(crate) async fn gather(&self, changes: &mut Changes) -> io::Result<()> {
        tokio::time::sleep(GATHER).await;
        self.read(changes)?;
        Ok(())
    }

    /// Reads what is there; whether there was anything.
    fn read(&self, changes: &mut Changes) -> io::Result<bool> {
        let before = changes.events;
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut events = Reader::new(self.fd.get_ref().as_fd(), &mut buffer);
        let mut directories = self.lock();
        while changes.events - before < MAX_GATHERED || !events.is_buffer_empty() {
            match events.next() {
                Ok(event) => {
                    changes.events += 1;
                    directories.take(&event, changes);
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(changes.events > before)
    }

    fn lock(&self) -> MutexGuard<'_, Directories> {
        self.directories
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Directories {
    fn take(&mut self, event: &Event<'_>, changes: &mut Changes) {
        let flags = event.events();
        if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            changes.lost = true;
            return;
        }
        if flags.contains(ReadFlags::IGNORED) {
            self.places.remove(&event.wd());
            return;
        }
        let Some(directory) = self.places.get(&event.wd()) else {
            return;
        };
        if flags.intersects(ReadFlags::UNMOUNT | ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF) {
            // Of a sub-folder its parent tells; of the folder itself nobody else does.
            if directory.path == RelPath::root() || flags.contains(ReadFlags::UNMOUNT) {
                changes.folders.insert(directory.folder);
            }
            return;
        }
        let Some(name) = event.file_name() else {
            return;
        };
        let name = name.to_bytes();
        let place = Place {
            folder: directory.folder,
            path: directory.path.child(name),
        };
        if flags.contains(ReadFlags::ISDIR) {
            if is_entered(name) {
                changes.directory(place, flags);
            }
        } else {
            changes.file(place, flags, event.cookie());
        }
    }
}

impl Changes {
    /// A scan of everything.
    pub(crate) fn everything() -> Self {
        Self {
            lost: true,
            ..Self::default()
        }
    }

    /// A scan of everything because somebody asked.
    pub(crate) fn asked() -> Self {
        Self {
            asked: true,
            ..Self::everything()
        }
    }

    /// A scan of these folders.
    pub(crate) fn of_folders(folders: BTreeSet<usize>) -> Self {
        Self {
            folders,
            ..Self::default()
        }
    }

    /// A look at one place, whatever happened there.
    pub(crate) fn add_place(&mut self, place: Place) {
        let touch = Touch {
            content: true,
            turn: true,
        };
        self.files.insert(place, touch);
    }

    fn directory(&mut self, place: Place, flags: ReadFlags) {
        if flags.intersects(ReadFlags::MOVED_FROM | ReadFlags::MOVED_TO) {
            // Every place below has changed.
            self.folders.insert(place.folder);
        } else if flags.intersects(ReadFlags::CREATE | ReadFlags::ATTRIB) {
            self.trees.push(place);
        }
    }

    fn file(&mut self, place: Place, flags: ReadFlags, cookie: u32) {
        match kind(place.path.file_name()) {
            Kind::Ignored => {
                // What was ignored may have had another name.
            }
            Kind::Sums => {
                let written = ReadFlags::CLOSE_WRITE
                    | ReadFlags::MOVED_FROM
                    | ReadFlags::MOVED_TO
                    | ReadFlags::DELETE
                    | ReadFlags::ATTRIB;
                if flags.intersects(written) {
                    self.sums.insert(place);
                }
            }
            Kind::Image | Kind::Temporary(_) => self.image(place, flags, cookie),
        }
    }

    fn image(&mut self, place: Place, flags: ReadFlags, cookie: u32) {
        if flags.contains(ReadFlags::MOVED_FROM) {
            self.halves.insert(cookie, place.clone());
        } else if flags.contains(ReadFlags::MOVED_TO)
            && let Some(from) = self.halves.remove(&cookie)
        {
            self.moves.insert(place.clone(), from);
        }
        let touch = self.files.entry(place).or_default();
        touch.content |= flags != ReadFlags::ATTRIB;
        touch.turn |= flags != ReadFlags::MODIFY;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::time::Instant;

    async fn until(watcher: &Watcher, mut done: impl FnMut(&Changes) -> bool) -> Changes {
        let mut all = Changes::default();
        let deadline = Instant::now() + Duration::from_secs(10);
        while !done(&all) {
            assert!(Instant::now() < deadline, "not told in time: {all:?}");
            all.events = 0;
            let _ = tokio::time::timeout(Duration::from_millis(100), watcher.next(&mut all)).await;
        }
        all
    }

    fn place(path: &str) -> Place {
        Place {
            folder: 0,
            path: RelPath::parse(path).unwrap(),
        }
    }

    fn watch(folder: &std::path::Path) -> Watcher {
        let watcher = Watcher::new().unwrap();
        let root = Place {
            folder: 0,
            path: RelPath::root(),
        };
        watcher
            .add(fs::File::open(folder).unwrap().as_fd(), root)
            .unwrap();
        watcher
    }

    #[tokio::test]
    async fn rename_is_told_with_both_places() {
        let folder = tempfile::tempdir().unwrap();
        let watcher = watch(folder.path());
        fs::write(folder.path().join(".a.iso.Ab3xYz"), "x").unwrap();
        fs::rename(
            folder.path().join(".a.iso.Ab3xYz"),
            folder.path().join("a.iso"),
        )
        .unwrap();
        fs::write(folder.path().join("notes.txt"), "x").unwrap();
        fs::write(folder.path().join("SHA256SUMS"), "x").unwrap();
        let changes = until(&watcher, |all| !all.sums.is_empty()).await;
        assert_eq!(
            changes.moves.get(&place("a.iso")),
            Some(&place(".a.iso.Ab3xYz"))
        );
        assert_eq!(changes.files.len(), 2);
        assert_eq!(
            changes.files[&place("a.iso")],
            Touch {
                content: true,
                turn: true
            }
        );
    }

    #[tokio::test]
    async fn attributes_alone_are_not_content() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.iso");
        fs::write(&file, "x").unwrap();
        let watcher = watch(folder.path());
        let mode = fs::metadata(&file).unwrap().permissions();
        fs::set_permissions(&file, mode).unwrap();
        let changes = until(&watcher, |all| !all.files.is_empty()).await;
        assert_eq!(
            changes.files[&place("a.iso")],
            Touch {
                content: false,
                turn: true
            }
        );
    }

    #[tokio::test]
    async fn overflow_of_the_queue_is_told() {
        let limit: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let watcher = watch(folder.path());
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&a, "").unwrap();
        for _ in 0..limit / 4 + 1 {
            fs::rename(&a, &b).unwrap();
            fs::rename(&b, &a).unwrap();
        }
        assert!(until(&watcher, |all| all.lost).await.lost);
    }

    #[tokio::test]
    async fn directories_that_a_scan_does_not_meet_are_let_go() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        let watcher = watch(folder.path());
        watcher
            .add(
                fs::File::open(folder.path().join("sub")).unwrap().as_fd(),
                place("sub"),
            )
            .unwrap();
        watcher.begin_scan();
        let root = Place {
            folder: 0,
            path: RelPath::root(),
        };
        watcher
            .add(fs::File::open(folder.path()).unwrap().as_fd(), root)
            .unwrap();
        watcher.end_scan(0);
        assert_eq!(watcher.lock().places.len(), 1);
    }
}
