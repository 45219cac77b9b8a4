//! Files that are arriving: who waits for what, and when a file counts as arrived.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use kinglet_model::image::ImagePhase as Phase;
use kinglet_model::{Id, Image};

use super::reconcile::{Plan, cannot_read, wanted_name};
use super::sweep::blocking;
use super::{Keeper, RETRY};
use crate::amend::{Amendment, set_stat};
use crate::fingerprint::Fingerprint;
use crate::folder::{FileStat, Look};
use crate::kind::{Kind, kind};
use crate::progress::Reporter;
use crate::sight::{Arrival, arrivals};
use crate::store::Batch;
use crate::watch::{Changes, Place};

/// How long after a writer closed the file it is looked at again at first: the kernel tells of the
/// close a moment before it counts the writer out. Doubled each time.
const SOON: Duration = Duration::from_millis(2);

/// How often at least a file with a writer is looked at when nothing is told of it.
const SELDOM: Duration = Duration::from_secs(60);

/// A file that was last written so long ago is not being written.
const LONG_QUIET: Duration = Duration::from_secs(60);

/// A file of which it must be found out whether it has arrived.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) who: Who,
    pub(super) place: Place,
    pub(super) stat: FileStat,
}

/// Whose file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// An image's.
    Known(Id),
    /// Nobody's yet.
    New,
}

/// A file that has not arrived.
pub(super) struct Waiting {
    /// When to look again, if nothing is told before.
    pub(super) due: Option<Instant>,
    /// When it was last looked at.
    pub(super) looked: Option<Instant>,
    /// Looks since something last happened to it.
    tries: u32,
    /// What it looked like last, and since when.
    print: Fingerprint,
    since: Instant,
    reporter: Reporter,
}

impl Keeper {
    /// Finds out which candidates have arrived, writes the plan, and remembers to look again at the
    /// others.
    pub(super) async fn conclude(&mut self, plan: Plan) {
        let Plan {
            mut batch,
            candidates,
            ..
        } = plan;
        let places: Vec<Place> = candidates.iter().map(|each| each.place.clone()).collect();
        let found = self.arrivals(places).await;
        let mut waiting = Vec::new();
        for (candidate, arrival) in candidates.into_iter().zip(found) {
            if let Some(id) = self.decide(&candidate, &arrival, &mut batch) {
                let stat = seen(&arrival, candidate.stat);
                waiting.push((id, stat, self.longest(&candidate.place, &arrival)));
            }
        }
        self.write(batch).await;
        for (id, stat, longest) in waiting {
            self.wait(id, &stat, longest);
        }
    }

    async fn arrivals(&self, places: Vec<Place>) -> Vec<Arrival> {
        if places.is_empty() {
            return Vec::new();
        }
        let shared = Arc::clone(&self.shared);
        let look = blocking(move || arrivals(&shared.roots, &places));
        look.await.unwrap_or_default()
    }

    /// Something happened to a file that is waited for: it may be over any moment.
    pub(super) fn stir(&mut self, id: Id) {
        if let Some(waiting) = self.waiting.get_mut(&id) {
            waiting.tries = 0;
        }
    }

    /// Looks again at the files whose time has come.
    pub(super) async fn settle_due(&mut self, now: Instant) {
        let mut places = Vec::new();
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        for (id, waiting) in self
            .waiting
            .iter_mut()
            .filter(|(_, waiting)| is_due(waiting.due))
        {
            // Should the outcome not be saved, it is not tried again without a pause.
            waiting.due = Some(now + RETRY);
            places.extend(self.catalogue.get(*id).map(|known| known.place.clone()));
        }
        // What waits for an image that is not known any more waits for nothing.
        self.waiting
            .retain(|id, _| self.catalogue.get(*id).is_some());
        if places.is_empty() {
            return;
        }
        let looks = self.look(places).await;
        let mut plan = Plan::default();
        let mut moved = Changes::default();
        for (place, look) in looks {
            let known = self.catalogue.at(&place);
            match (look, known) {
                (Look::File(stat), Some(known))
                    if stat.print.identity() == known.print.identity() =>
                {
                    let who = Who::Known(known.id);
                    plan.candidates.push(Candidate { who, place, stat });
                }
                _ => {
                    moved.add_place(place);
                }
            }
        }
        self.conclude(plan).await;
        if !moved.files.is_empty() {
            Box::pin(self.sweep(moved)).await;
        }
    }

    /// What the arrival makes of the candidate; the image, if it has to be waited for.
    fn decide(
        &mut self,
        candidate: &Candidate,
        arrival: &Arrival,
        batch: &mut Batch,
    ) -> Option<Id> {
        let stat = seen(arrival, candidate.stat);
        let amendment = match arrival {
            Arrival::Gone => return None,
            Arrival::Unreadable(error) => {
                self.retry_after(error);
                Some(Amendment::Unreadable(cannot_read(&candidate.place, error)))
            }
            _ if self.has_arrived(candidate, arrival) => Some(Amendment::Settled(stat)),
            _ => None,
        };
        let arriving = amendment.is_none();
        let id = match candidate.who {
            Who::Known(id) => {
                self.amend_known(id, stat, amendment, batch);
                id
            }
            Who::New => {
                let mut image = self.new_image(&candidate.place, &stat);
                if let Some(amendment) = amendment {
                    amendment.apply(&mut image);
                }
                let id = image.metadata.id;
                batch.create.push(image);
                id
            }
        };
        arriving.then_some(id)
    }

    fn amend_known(&self, id: Id, stat: FileStat, amendment: Option<Amendment>, batch: &mut Batch) {
        let phase = self.catalogue.get(id).map(|known| known.phase);
        match (phase, &amendment) {
            (Some(Phase::Unreadable), Some(Amendment::Settled(_))) => {
                batch.amend(id, Amendment::Attributes(stat));
                batch.amend(id, Amendment::Recheck { forget: false });
            }
            (Some(Phase::Unreadable), Some(Amendment::Unreadable(_))) => {}
            (Some(Phase::Unreadable), None) => batch.amend(id, Amendment::Rewritten(stat)),
            (_, Some(_)) => {
                if let Some(amendment) = amendment {
                    batch.amend(id, amendment);
                }
            }
            (_, None) => {}
        }
    }

    fn has_arrived(&self, candidate: &Candidate, arrival: &Arrival) -> bool {
        if matches!(kind(candidate.place.path.file_name()), Kind::Temporary(_)) {
            return false;
        }
        match arrival {
            Arrival::Settled(_) => true,
            Arrival::Unsure(stat) => self.is_quiet(candidate.who, &stat.print),
            _ => false,
        }
    }

    /// Whether the file has not changed for long enough, where the kernel cannot tell of writers.
    fn is_quiet(&self, who: Who, print: &Fingerprint) -> bool {
        let watched = match who {
            Who::Known(id) => self
                .waiting
                .get(&id)
                .filter(|waiting| waiting.print == *print),
            Who::New => None,
        };
        match watched {
            Some(waiting) => waiting.since.elapsed() >= self.shared.config.quiet,
            None => age(print).is_some_and(|age| age >= LONG_QUIET),
        }
    }

    fn new_image(&mut self, place: &Place, stat: &FileStat) -> Image {
        let name = self.names.reserve(wanted_name(place));
        let folder = &self.shared.roots[place.folder].folder.name;
        let mut image = Image::seen(name, folder, &place.path.to_string());
        set_stat(&mut image, stat);
        image
    }

    /// After how long at most a file that has not arrived is looked at again, if nothing is told of
    /// it; `None`: not before that.
    fn longest(&self, place: &Place, arrival: &Arrival) -> Option<Duration> {
        // Of a temporary file's end only the rename tells: an abandoned one wakes nobody.
        if matches!(kind(place.path.file_name()), Kind::Temporary(_)) {
            return None;
        }
        Some(match arrival {
            Arrival::Unsure(_) => self.shared.config.quiet,
            _ => SELDOM,
        })
    }

    /// Notes that the image's file has not arrived, shows how large it is, and when to look again.
    fn wait(&mut self, id: Id, stat: &FileStat, longest: Option<Duration>) {
        if self.catalogue.get(id).is_none() {
            return;
        }
        let now = Instant::now();
        let registry = &self.shared.registry;
        let waiting = self.waiting.entry(id).or_insert_with(|| Waiting {
            due: None,
            looked: None,
            tries: 0,
            print: stat.print,
            since: now,
            reporter: Reporter::new(registry.clone(), id, "receiving"),
        });
        waiting.reporter.report(stat.print.size, None);
        waiting.looked_at(&stat.print, longest, now);
    }
}

impl Waiting {
    /// Notes what was seen, and when to look again: the longer nothing is told of the file, the
    /// later. That it grew is no reason to hurry; a writer's end is told.
    fn looked_at(&mut self, print: &Fingerprint, longest: Option<Duration>, now: Instant) {
        if self.print != *print {
            self.print = *print;
            self.since = now;
        }
        self.looked = Some(now);
        let soon = SOON.saturating_mul(1 << self.tries.min(16));
        self.tries = self.tries.saturating_add(1);
        self.due = longest.map(|longest| now + soon.min(longest));
    }
}

/// The newest state that was seen.
fn seen(arrival: &Arrival, before: FileStat) -> FileStat {
    match arrival {
        Arrival::Settled(stat) | Arrival::Writing(stat) | Arrival::Unsure(stat) => *stat,
        Arrival::Unreadable(_) | Arrival::Gone => before,
    }
}

fn age(print: &Fingerprint) -> Option<Duration> {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()?;
    let written = Duration::from_nanos(u64::try_from(print.modified).ok()?);
    now.checked_sub(written)
}

#[cfg(test)]
mod tests {
    use kinglet_registry::Registry;

    use super::*;

    #[test]
    fn file_that_keeps_growing_is_looked_at_ever_more_seldom() {
        let now = Instant::now();
        let mut waiting = Waiting {
            due: None,
            looked: None,
            tries: 0,
            print: Fingerprint::default(),
            since: now,
            reporter: Reporter::new(Registry::in_memory(), Id::generate(), "receiving"),
        };
        let mut pause = Duration::ZERO;
        for size in 1..20 {
            let print = Fingerprint {
                size,
                ..Fingerprint::default()
            };
            waiting.looked_at(&print, Some(SELDOM), now);
            let next = waiting.due.unwrap() - now;
            assert!(next > pause || next == SELDOM, "{next:?} after {pause:?}");
            pause = next;
        }
        assert_eq!(pause, SELDOM);
        waiting.looked_at(&Fingerprint::default(), None, now);
        assert_eq!(waiting.due, None);
    }
}
