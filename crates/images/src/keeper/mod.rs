//! The keeper: the one task that owns the catalogue. Whatever happens (the kernel tells of a change,
//! somebody asks, a check ends, a time is up) is worked on one after the other here, so that no two
//! of them can disagree. What takes long runs on blocking threads and reports back.
//!
//! When nothing happens it waits without a timer.

mod checks;
mod lists;
mod reconcile;
mod requests;
mod settle;
mod sweep;
mod uploads;

use std::collections::{HashMap, HashSet};
use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kinglet_model::image::ImagePhase;
use kinglet_model::{Id, Image};
use kinglet_registry::Registry;
use kinglet_registry::typed::{ResourceChange, ResourceWatch, TypedError};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::amend::Amendment;
use crate::catalogue::{Catalogue, Known};
use crate::config::Watching;
use crate::folder::is_passing;
use crate::library::{Ask, Shared};
use crate::naming::Names;
use crate::store::{Batch, Written, commit};
use crate::watch::{Changes, Watcher};
use checks::Checks;
use lists::Lists;
use settle::Waiting;
pub(crate) use sweep::blocking;

/// How long after a failure of the registry everything is compared again.
const RETRY: Duration = Duration::from_secs(5);

/// The task's state.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Ask>,
    stop: CancellationToken,
    watcher: Option<Arc<Watcher>>,
    changes: Changes,
    catalogue: Catalogue,
    names: Names,
    lists: Lists,
    checks: Checks,
    waiting: HashMap<Id, Waiting>,
    missing: HashSet<Id>,
    uploads: HashSet<Id>,
    /// In a mutex only because the stream in it cannot be shared; nobody ever waits for it.
    releases: Option<Mutex<ResourceWatch<Image>>>,
    poll_due: Option<Instant>,
    expiry_due: Option<Instant>,
    retry_due: Option<Instant>,
    /// The last change that could not be saved, since anybody asked.
    unsaved: Option<TypedError>,
}

impl Keeper {
    /// Nothing known, nothing watched.
    pub(crate) fn new(
        shared: Arc<Shared>,
        inbox: mpsc::Receiver<Ask>,
        stop: CancellationToken,
    ) -> Self {
        let watcher = shared.config.events.then(Watcher::new).and_then(|watcher| {
            let log = |error: &io::Error| tracing::warn!(%error, "inotify cannot be used");
            watcher.inspect_err(log).ok().map(Arc::new)
        });
        Self {
            shared,
            inbox,
            stop,
            watcher,
            changes: Changes::default(),
            catalogue: Catalogue::default(),
            names: Names::default(),
            lists: Lists::default(),
            checks: Checks::default(),
            waiting: HashMap::new(),
            missing: HashSet::new(),
            uploads: HashSet::new(),
            releases: None,
            poll_due: None,
            expiry_due: None,
            retry_due: None,
            unsaved: None,
        }
    }

    /// Works until it is stopped, or nobody holds the library any more.
    pub(crate) async fn run(mut self) {
        // Breaking a lease sends SIGIO, whose default is to end the process. A handler stays for the
        // life of the process once it is installed.
        let handler = signal(SignalKind::io());
        if let Err(error) = &handler {
            tracing::warn!(%error, "no handler for SIGIO can be installed");
        }
        while let Err(error) = self.load().await {
            tracing::error!(%error, "the images cannot be read from the registry; trying again");
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(RETRY) => {}
            }
        }
        // Before the scan, which would take a finished upload for a file that it does not know.
        self.recover_uploads().await;
        self.sweep(Changes::everything()).await;
        while self.step().await {}
        self.checks.cancel_all();
    }

    /// Waits for one thing to happen and works on it; `false` at the end.
    async fn step(&mut self) -> bool {
        self.checks.pump(&self.shared, &self.catalogue);
        let due = self.due();
        tokio::select! {
            () = self.stop.cancelled() => return false,
            ask = self.inbox.recv() => match ask {
                Some(ask) => self.answer(ask).await,
                None => return false,
            },
            result = notice(self.watcher.as_deref(), &mut self.changes) => {
                self.noticed(result).await;
            }
            reports = self.checks.next() => self.judge(reports).await,
            () = until(due) => self.on_time().await,
            freed = freed(self.releases.as_mut()) => self.on_freed(freed).await,
        }
        true
    }

    /// Learns from the registry what was known.
    async fn load(&mut self) -> Result<(), TypedError> {
        self.catalogue = Catalogue::default();
        let mut lost = Batch::default();
        let mut after = None;
        loop {
            let page = self.shared.registry.list::<Image>(after, 500).await?;
            for error in &page.unreadable {
                tracing::error!(%error, "an image in the registry cannot be read");
            }
            for image in &page.items {
                self.names.take(image.metadata.name.clone());
                let folder = self.shared.folder(&image.spec.folder);
                match folder.and_then(|folder| Known::of(image, folder)) {
                    Some(known) => self.remember(known, image),
                    None => lost.amend(image.metadata.id, no_folder(image)),
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        // Of these, some may have been freed while nobody watched.
        for id in &self.missing {
            lost.amend(*id, still_missing());
        }
        self.write(lost).await;
        Ok(())
    }

    async fn noticed(&mut self, result: io::Result<()>) {
        let result = match (result, self.watcher.as_deref()) {
            (Ok(()), Some(watcher)) => watcher.gather(&mut self.changes).await,
            (result, _) => result,
        };
        let changes = std::mem::take(&mut self.changes);
        if let Err(error) = result {
            tracing::error!(%error, "inotify failed; the image folders are scanned from now on");
            self.watcher = None;
            self.sweep(Changes::everything()).await;
            return;
        }
        self.sweep(changes).await;
    }

    /// Writes changes, and brings the catalogue to what was written.
    async fn write(&mut self, batch: Batch) -> u64 {
        let mut changed = 0;
        for written in commit(&self.shared.registry, batch).await {
            changed += u64::from(written.changed);
            self.wrote(written);
        }
        changed
    }

    /// Brings everything that is kept in memory of an image to what the registry has.
    fn wrote(&mut self, written: Written) {
        let Written {
            id, before, after, ..
        } = written;
        match after {
            Ok(Some(image)) => {
                if let Some(before) = before.filter(|before| *before != image.metadata.name) {
                    self.names.free(&before);
                }
                self.names.take(image.metadata.name.clone());
                let folder = self.shared.folder(&image.spec.folder);
                match folder.and_then(|folder| Known::of(&image, folder)) {
                    Some(known) => self.remember(known, &image),
                    None => self.forget(id),
                }
            }
            Ok(None) => {
                self.forget(id);
                if let Some(before) = before {
                    self.names.free(&before);
                }
            }
            Err(error) => {
                // Of thousands of images that a full disk fails, one tells enough.
                if self.retry_due.is_none() {
                    tracing::error!(%id, %error, "images' states could not be saved; trying again");
                }
                if self.catalogue.get(id).is_none()
                    && let Some(before) = before
                {
                    self.names.free(&before);
                }
                self.retry_due = Some(Instant::now() + RETRY);
                self.unsaved = Some(error);
            }
        }
    }

    fn remember(&mut self, known: Known, image: &Image) {
        let id = known.id;
        if known.phase != ImagePhase::Arriving {
            self.waiting.remove(&id);
        }
        match known.phase {
            ImagePhase::Missing => {
                self.missing.insert(id);
                let from = image.metadata.revision.next();
                self.releases
                    .get_or_insert_with(|| Mutex::new(self.shared.registry.watch_kind(from)));
            }
            _ => self.no_longer_missing(id),
        }
        if known.phase == ImagePhase::Uploading {
            self.uploads.insert(id);
            let first = || Instant::now() + self.shared.config.uploads.lifetime;
            self.expiry_due.get_or_insert_with(first);
        } else {
            self.uploads.remove(&id);
        }
        self.checks.follow(&known);
        self.catalogue.insert(known);
    }

    fn forget(&mut self, id: Id) {
        self.catalogue.forget(id);
        self.uploads.remove(&id);
        self.waiting.remove(&id);
        self.checks.cancel(id);
        self.no_longer_missing(id);
    }

    fn no_longer_missing(&mut self, id: Id) {
        self.missing.remove(&id);
        if self.missing.is_empty() {
            self.releases = None;
        }
    }

    /// Images changed in the registry while some of them are missing their files: those that nobody
    /// uses any more are removed.
    async fn on_freed(&mut self, freed: Freed) {
        let mut batch = Batch::default();
        let ids = match freed {
            Freed::Images(ids) => ids,
            Freed::Unknown => {
                let from = self.shared.registry.current_revision().next();
                self.releases = Some(Mutex::new(self.shared.registry.watch_kind(from)));
                self.missing.iter().copied().collect()
            }
        };
        for id in ids.into_iter().filter(|id| self.missing.contains(id)) {
            batch.amend(id, still_missing());
        }
        self.write(batch).await;
    }

    /// Looks at everything again before long, if the error will have passed by then: nobody tells of
    /// that.
    fn retry_after(&mut self, error: &io::Error) {
        if is_passing(error) {
            self.retry_due = Some(Instant::now() + RETRY);
        }
    }

    /// When the next thing is due that nobody will tell of.
    fn due(&self) -> Option<Instant> {
        let waiting = self.waiting.values().filter_map(|waiting| waiting.due);
        let planned = [self.poll_due, self.retry_due, self.expiry_due];
        waiting.chain(planned.into_iter().flatten()).min()
    }

    async fn on_time(&mut self) {
        let now = Instant::now();
        if self.retry_due.is_some_and(|due| due <= now) {
            // What was not saved is still different from what is known: it is found again.
            self.retry_due = None;
            self.recover_uploads().await;
            self.sweep(Changes::everything()).await;
        } else if self.poll_due.is_some_and(|due| due <= now) {
            let changes = Changes::of_folders(self.polled().collect());
            self.sweep(changes).await;
        }
        if self.expiry_due.is_some_and(|due| due <= now) {
            self.expire_uploads().await;
        }
        self.settle_due(now).await;
    }

    /// The folders that have to be scanned every few seconds.
    fn polled(&self) -> impl Iterator<Item = usize> {
        let watching = self.shared.watching.read();
        let watching = watching.unwrap_or_else(PoisonError::into_inner).clone();
        let each = watching.into_iter().enumerate();
        each.filter_map(|(folder, watching)| (watching != Watching::Events).then_some(folder))
    }
}

/// Which images may have lost their last user.
enum Freed {
    /// These.
    Images(Vec<Id>),
    /// Any: the log was cut.
    Unknown,
}

async fn freed(releases: Option<&mut Mutex<ResourceWatch<Image>>>) -> Freed {
    let Some(releases) = releases else {
        return pending().await;
    };
    let releases = releases.get_mut().unwrap_or_else(PoisonError::into_inner);
    match releases.next().await {
        Some(Ok((_, changes))) => {
            let unused = changes.into_iter().filter_map(|change| match change {
                ResourceChange::Put { object, .. } if object.status.users.is_empty() => {
                    Some(object.metadata.id)
                }
                _ => None,
            });
            Freed::Images(unused.collect())
        }
        Some(Err(_)) => Freed::Unknown,
        // The registry is closed: the program is ending.
        None => pending().await,
    }
}

async fn notice(watcher: Option<&Watcher>, changes: &mut Changes) -> io::Result<()> {
    match watcher {
        Some(watcher) => watcher.next(changes).await,
        None => pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => pending().await,
    }
}

fn no_folder(image: &Image) -> Amendment {
    let why = format!(
        "Its folder {} is not configured any more.",
        image.spec.folder
    );
    Amendment::Gone {
        why,
        replaced: false,
    }
}

fn still_missing() -> Amendment {
    Amendment::Gone {
        why: "The file is gone.".to_owned(),
        replaced: false,
    }
}

/// The registry, for the modules of this task.
fn registry(shared: &Shared) -> &Registry {
    &shared.registry
}
