//! From "something happened there" to what lies there now.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use kinglet_model::image::{ImagePhase, RefreshReport};

use super::Keeper;
use super::lists::read_list;
use crate::amend::Amendment;
use crate::config::Watching;
use crate::folder::{FileStat, Look};
use crate::progress::INTERVAL;
use crate::sight::{Scan, look_at, scan, tree, unmet};
use crate::store::Batch;
use crate::walk::Walk;
use crate::watch::{Changes, Place, Touch};

/// What was found at places.
#[derive(Debug, Default)]
pub(super) struct Sights {
    pub(super) looks: HashMap<Place, Look>,
    lists: BTreeSet<Place>,
}

impl Keeper {
    /// Looks at everything that may have changed and brings the catalogue to it.
    pub(super) async fn sweep(&mut self, changes: Changes) -> RefreshReport {
        let mut sights = Sights::default();
        let mut report = RefreshReport::default();
        let folders = if changes.lost {
            (0..self.shared.roots.len()).collect()
        } else {
            changes.folders.clone()
        };
        for folder in &folders {
            self.scan_folder(*folder, &mut sights, &mut report).await;
        }
        for place in changes
            .trees
            .iter()
            .filter(|place| !folders.contains(&place.folder))
        {
            self.scan_tree(place.clone(), &mut sights).await;
        }
        let places = changes.files.iter().filter(|(place, touch)| {
            !folders.contains(&place.folder) && !self.is_known_to_grow(place, **touch)
        });
        let places = places.map(|(place, _)| place.clone()).collect();
        sights.looks.extend(self.look(places).await);
        sights.lists.extend(changes.sums.iter().cloned());
        self.read_lists(sights.lists).await;
        self.reconcile(sights.looks, &changes, &mut report).await;
        if !folders.is_empty() {
            self.plan_poll();
        }
        report
    }

    /// Looks at places, on a blocking thread.
    pub(super) async fn look(&self, places: Vec<Place>) -> Vec<(Place, Look)> {
        if places.is_empty() {
            return Vec::new();
        }
        let shared = Arc::clone(&self.shared);
        blocking(move || look_at(&shared.roots, places))
            .await
            .unwrap_or_default()
    }

    /// A file that is being written tells of every write; it is looked at a few times a second.
    fn is_known_to_grow(&self, place: &Place, touch: Touch) -> bool {
        let growing = |id| self.waiting.get(&id).and_then(|waiting| waiting.looked);
        !touch.turn
            && self
                .catalogue
                .at(place)
                .filter(|known| known.phase == ImagePhase::Arriving)
                .and_then(|known| growing(known.id))
                .is_some_and(|looked| looked.elapsed() < INTERVAL)
    }

    async fn scan_folder(
        &mut self,
        folder: usize,
        sights: &mut Sights,
        report: &mut RefreshReport,
    ) {
        let (shared, watcher) = (Arc::clone(&self.shared), self.watcher.clone());
        let scanned =
            blocking(move || scan(&shared.roots[folder], folder, watcher.as_deref())).await;
        let Some(Scan { walk, watching }) = scanned else {
            return;
        };
        self.set_watching(folder, watching);
        let known = self
            .catalogue
            .iter()
            .filter(|known| known.place.folder == folder)
            .filter(|known| known.phase != ImagePhase::Missing && known.phase.has_place());
        let known = known.map(|known| &known.place);
        match walk {
            Ok(walk) => {
                let unmet = unmet(known, &walk);
                self.count(folder, &walk, report);
                self.take(folder, walk, true, sights);
                let looks = self.look(unmet).await;
                sights.looks.extend(looks);
            }
            Err(error) => {
                let failed = |place: &Place| (place.clone(), Look::Failed(same_error(&error)));
                sights.looks.extend(known.map(failed));
                report.unreadable += 1;
            }
        }
    }

    fn count(&self, folder: usize, walk: &Walk, report: &mut RefreshReport) {
        for (path, error) in &walk.unreadable {
            let folder = &self.shared.roots[folder].folder.name;
            tracing::warn!(folder, %path, %error, "a part of an image folder cannot be read");
        }
        report.seen += walk.files.len() as u64;
        report.unreadable += walk.unreadable.len() as u64;
        report.ignored += walk.passed_over as u64;
    }

    async fn scan_tree(&mut self, place: Place, sights: &mut Sights) {
        let (shared, watcher) = (Arc::clone(&self.shared), self.watcher.clone());
        let folder = place.folder;
        let found = blocking(move || {
            let root = shared.roots[folder].directory().ok()?;
            Some(tree(&root, folder, &place.path, watcher.as_deref()))
        });
        let Some((walk, obstacle)) = found.await.flatten() else {
            return;
        };
        if let Some(why) = obstacle {
            self.set_watching(folder, Watching::Scans { why });
            self.plan_poll();
        }
        self.take(folder, walk, false, sights);
    }

    fn take(&mut self, folder: usize, walk: Walk, whole: bool, sights: &mut Sights) {
        for (_, error) in &walk.unreadable {
            self.retry_after(error);
        }
        let place = |path| Place { folder, path };
        let at = |(path, stat)| (place(path), stat);
        let files = walk.files.into_iter().map(at);
        sights
            .looks
            .extend(files.map(|(place, stat)| (place, Look::File(stat))));
        let lists: Vec<(Place, FileStat)> = walk.sums.into_iter().map(at).collect();
        if whole {
            sights.lists.extend(self.lists.unmet(folder, &lists));
        }
        sights.lists.extend(self.lists.unread(lists));
    }

    /// Reads lists of digests, and judges by them what is hashed already.
    async fn read_lists(&mut self, places: BTreeSet<Place>) {
        if places.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let read = blocking(move || {
            let read = |place: Place| (read_list(&shared.roots, &place), place);
            places.into_iter().map(read).collect::<Vec<_>>()
        });
        let mut directories = BTreeSet::new();
        for (list, place) in read.await.unwrap_or_default() {
            directories.insert(self.lists.set(&place, list));
        }
        let mut batch = Batch::default();
        for known in self.catalogue.iter().filter(|known| known.hashed) {
            let Place { folder, path } = &known.place;
            if directories.contains(&Place {
                folder: *folder,
                path: path.parent(),
            }) {
                batch.amend(known.id, Amendment::Sums(self.lists.expected(&known.place)));
            }
        }
        self.write(batch).await;
    }

    fn set_watching(&self, folder: usize, watching: Watching) {
        let mut all = self
            .shared
            .watching
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = all.get_mut(folder).filter(|slot| **slot != watching) {
            let name = &self.shared.roots[folder].folder.name;
            match &watching {
                Watching::Events => tracing::info!(folder = name, "the image folder is watched"),
                Watching::Scans { why } => {
                    tracing::warn!(
                        folder = name,
                        why,
                        "the image folder is scanned now and then"
                    );
                }
                Watching::Unavailable { why } => tracing::warn!(folder = name, why),
            }
            *slot = watching;
        }
    }

    fn plan_poll(&mut self) {
        let polled = self.polled().next().is_some();
        self.poll_due = polled.then(|| Instant::now() + self.shared.config.poll);
    }
}

/// Runs on a blocking thread; `None` if that failed, which is said in the log.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => Some(result),
        Err(error) => {
            tracing::error!(%error, "looking at an image folder failed");
            None
        }
    }
}

/// An error for each of many places.
fn same_error(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
