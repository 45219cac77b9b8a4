//! Checks that wait and run: a quick lane for headers and tables, and for each folder two slow ones for
//! reading files through, one of them for very large files only, so that a large file never holds up
//! a small one.

use std::collections::{HashMap, HashSet, VecDeque};
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kinglet_model::Id;
use kinglet_model::image::ImagePhase;
use tokio::task::JoinSet;

use super::{Keeper, registry};
use crate::amend::Amendment;
use crate::catalogue::{Catalogue, Known};
use crate::check::{Depth, Job, Outcome, Report, SMALL};
use crate::library::Shared;
use crate::store::Batch;
use crate::watch::Changes;

/// Files in one go: their results are one transaction.
const IN_ONE: usize = 128;

/// Bytes read in one go, except for a single file that is larger.
const BYTES_IN_ONE: u64 = 8 * SMALL;

/// Folders in which files of one weight are read through at a time.
const READERS: usize = 2;

/// Files larger than this (4 GiB) take minutes to read and have a lane of their own.
const HEAVY: u64 = 4 << 30;

/// What waits and what runs.
#[derive(Default)]
pub(super) struct Checks {
    queued: HashSet<Id>,
    looks: VecDeque<Id>,
    reads: VecDeque<Id>,
    running: HashMap<Id, Arc<AtomicBool>>,
    lanes: JoinSet<(Lane, Vec<Report>)>,
    busy: HashSet<Lane>,
    thorough: HashSet<Id>,
}

/// A lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Lane {
    /// Headers and tables, of any folder.
    Look,
    /// Everything, in this folder.
    Read(usize, Weight),
}

/// How long reading a file will take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Weight {
    Light,
    Heavy,
}

impl Lane {
    fn of_reading(known: &Known) -> Self {
        let weight = if known.print.size > HEAVY {
            Weight::Heavy
        } else {
            Weight::Light
        };
        Self::Read(known.place.folder, weight)
    }
}

impl Checks {
    /// Queues what the image's phase calls for, or stops what it does not.
    pub(super) fn follow(&mut self, known: &Known) {
        match known.phase {
            ImagePhase::Checking => self.want(known.id, Depth::Look),
            ImagePhase::Ready if !known.hashed => self.want(known.id, Depth::Read),
            ImagePhase::Ready | ImagePhase::Damaged => {}
            _ => self.cancel(known.id),
        }
    }

    /// Queues a check, unless one waits or runs.
    pub(super) fn want(&mut self, id: Id, depth: Depth) {
        if self.running.contains_key(&id) || !self.queued.insert(id) {
            return;
        }
        match depth {
            Depth::Look => self.looks.push_back(id),
            Depth::Read => self.reads.push_back(id),
        }
    }

    /// The image becomes ready only when all of it was read.
    pub(super) fn be_thorough(&mut self, id: Id) {
        self.thorough.insert(id);
    }

    /// Stops and forgets an image's checks.
    pub(super) fn cancel(&mut self, id: Id) {
        // What waits is dropped when its turn comes.
        self.queued.remove(&id);
        self.thorough.remove(&id);
        if let Some(cancel) = self.running.get(&id) {
            cancel.store(true, Ordering::Relaxed);
        }
    }

    /// Stops everything.
    pub(super) fn cancel_all(&mut self) {
        self.queued.clear();
        for cancel in self.running.values() {
            cancel.store(true, Ordering::Relaxed);
        }
    }

    /// Starts what can start.
    pub(super) fn pump(&mut self, shared: &Arc<Shared>, catalogue: &Catalogue) {
        if !self.busy.contains(&Lane::Look) && !self.looks.is_empty() {
            let jobs = self.take_looks(shared, catalogue);
            self.start(Lane::Look, Depth::Look, jobs, shared);
        }
        while let Some((lane, jobs)) = self.take_reads(shared, catalogue) {
            self.start(lane, Depth::Read, jobs, shared);
        }
    }

    /// The next results; waits for some. Safe to cancel.
    pub(super) async fn next(&mut self) -> Option<Vec<Report>> {
        match self.lanes.join_next().await {
            Some(Ok((lane, reports))) => {
                self.busy.remove(&lane);
                for report in &reports {
                    self.running.remove(&report.id);
                }
                Some(reports)
            }
            Some(Err(error)) => {
                tracing::error!(%error, "a check ended without a result");
                *self = Self::default();
                None
            }
            None => pending().await,
        }
    }

    fn start(&mut self, lane: Lane, depth: Depth, jobs: Vec<Job>, shared: &Arc<Shared>) {
        if jobs.is_empty() {
            return;
        }
        for job in &jobs {
            self.running.insert(job.id, Arc::clone(&job.cancel));
        }
        self.busy.insert(lane);
        let shared = Arc::clone(shared);
        self.lanes.spawn_blocking(move || {
            let run = |job: &Job| job.run(&*shared.inspect, depth, registry(&shared));
            (lane, jobs.iter().map(run).collect())
        });
    }

    fn take_looks(&mut self, shared: &Shared, catalogue: &Catalogue) -> Vec<Job> {
        let mut jobs = Vec::new();
        let mut bytes = 0;
        while jobs.len() < IN_ONE && bytes < BYTES_IN_ONE {
            let Some(id) = self.looks.pop_front() else {
                break;
            };
            if let Some((known, job)) = self.job(id, shared, catalogue) {
                bytes += known.print.size.min(SMALL);
                jobs.push(job);
            }
        }
        jobs
    }

    /// The first file whose lane is free, and the small ones after it in the same lane.
    fn take_reads(&mut self, shared: &Shared, catalogue: &Catalogue) -> Option<(Lane, Vec<Job>)> {
        let lane_of = |id: &Id| catalogue.get(*id).map(Lane::of_reading);
        self.reads
            .retain(|id| self.queued.contains(id) && catalogue.get(*id).is_some());
        let lane = self
            .reads
            .iter()
            .find_map(|id| lane_of(id).filter(|lane| self.is_free(*lane)))?;
        let mut jobs = Vec::new();
        let mut bytes = 0_u64;
        while let Some(n) = self.reads.iter().position(|id| lane_of(id) == Some(lane)) {
            let size = self
                .reads
                .get(n)
                .and_then(|id| catalogue.get(*id))?
                .print
                .size;
            bytes = bytes.saturating_add(size);
            if jobs.len() == IN_ONE || (bytes > BYTES_IN_ONE && !jobs.is_empty()) {
                break;
            }
            let id = self.reads.remove(n)?;
            jobs.extend(self.job(id, shared, catalogue).map(|(_, job)| job));
        }
        Some((lane, jobs))
    }

    fn is_free(&self, lane: Lane) -> bool {
        let Lane::Read(_, weight) = lane else {
            return !self.busy.contains(&lane);
        };
        let same = |busy: &&Lane| matches!(busy, Lane::Read(_, other) if *other == weight);
        !self.busy.contains(&lane) && self.busy.iter().filter(same).count() < READERS
    }

    fn job<'a>(
        &mut self,
        id: Id,
        shared: &Shared,
        catalogue: &'a Catalogue,
    ) -> Option<(&'a Known, Job)> {
        if !self.queued.remove(&id) {
            return None;
        }
        let known = catalogue.get(id)?;
        let job = Job {
            id,
            // A folder that went away is found by its own scan.
            root: shared.roots.get(known.place.folder)?.directory().ok()?,
            path: known.place.path.clone(),
            print: known.print,
            cancel: Arc::default(),
        };
        Some((known, job))
    }
}

impl Keeper {
    /// Draws the conclusions from checks that ended. `None`: they were lost.
    pub(super) async fn judge(&mut self, reports: Option<Vec<Report>>) {
        let Some(reports) = reports else {
            self.sweep(Changes::everything()).await;
            return;
        };
        let mut batch = Batch::default();
        let mut again = Changes::default();
        let mut read_on = Vec::new();
        for report in reports {
            let Some(known) = self.catalogue.get(report.id) else {
                continue;
            };
            let current = known.print.same_file(&report.print)
                && known.print.same_content(&report.print)
                && matches!(known.phase, ImagePhase::Checking | ImagePhase::Ready);
            match report.outcome {
                // Superseded meanwhile; `follow` says what the image needs now.
                _ if !current => {
                    let known = known.clone();
                    self.checks.follow(&known);
                }
                Outcome::Found { probe, reading } => {
                    if reading.is_none() {
                        read_on.push(report.id);
                    }
                    let thorough = self.checks.thorough.contains(&report.id);
                    if reading.is_some() {
                        self.checks.thorough.remove(&report.id);
                    }
                    let expected = self.lists.expected(&known.place);
                    batch.amend(
                        report.id,
                        Amendment::Found {
                            probe,
                            reading,
                            expected,
                            thorough,
                        },
                    );
                }
                Outcome::Changed => {
                    again.add_place(known.place.clone());
                }
                Outcome::Unreadable(why) => {
                    let why = format!("{why}; see that the disk is sound and that access is given");
                    batch.amend(report.id, Amendment::Unreadable(why));
                }
            }
        }
        self.write(batch).await;
        for id in read_on {
            self.read_on(id);
        }
        if !again.files.is_empty() {
            self.sweep(again).await;
        }
    }

    /// After a look: what is not hashed yet is read.
    fn read_on(&mut self, id: Id) {
        let Some(known) = self.catalogue.get(id) else {
            return;
        };
        let needed =
            matches!(known.phase, ImagePhase::Checking | ImagePhase::Ready) && !known.hashed;
        // `write` may have queued another look, because it is still checking.
        self.checks.queued.remove(&id);
        self.checks.looks.retain(|other| *other != id);
        if needed {
            self.checks.want(id, Depth::Read);
        }
    }
}
