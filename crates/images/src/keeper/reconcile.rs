//! The comparison that everything ends in: what lies at places, and what was known of them.
//!
//! A file is told by its inode, not by its name: one that is known from elsewhere was renamed, one at
//! the place of another has replaced it.

use std::collections::{HashMap, HashSet};
use std::sync::PoisonError;

use kinglet_model::image::{ImagePhase, RefreshReport};
use kinglet_model::{Id, Name};

use super::Keeper;
use super::settle::{Candidate, Who};
use crate::amend::Amendment;
use crate::catalogue::Known;
use crate::config::Watching;
use crate::folder::{FileStat, Look};
use crate::kind::{Kind, kind};
use crate::naming::{Names, image_name};
use crate::store::Batch;
use crate::watch::{Changes, Place};

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Changes of images that are known.
    pub(super) batch: Batch,
    /// Files of which it must be found out whether they have arrived.
    pub(super) candidates: Vec<Candidate>,
    /// Files at places where the file known was another, or none.
    newcomers: Vec<(Place, FileStat)>,
    /// Images whose files are not at their places.
    unplaced: HashSet<Id>,
}

impl Keeper {
    /// Brings the catalogue to what was found.
    pub(super) async fn reconcile(
        &mut self,
        looks: HashMap<Place, Look>,
        changes: &Changes,
        report: &mut RefreshReport,
    ) {
        let mut plan = Plan::default();
        for (place, look) in looks {
            self.compare(place, look, changes, &mut plan, report);
        }
        let sources = self.find_sources(&mut plan, changes).await;
        self.let_go(&mut plan, &sources, report).await;
        for (place, stat) in std::mem::take(&mut plan.newcomers) {
            match sources
                .get(&place)
                .and_then(|id| self.catalogue.get(*id))
                .cloned()
            {
                Some(known) => {
                    report.changed += 1;
                    self.moved(&known, place, stat, &mut plan);
                }
                None => {
                    report.added += 1;
                    plan.candidates.push(Candidate {
                        who: Who::New,
                        place,
                        stat,
                    });
                }
            }
        }
        self.conclude(plan).await;
    }

    fn compare(
        &mut self,
        place: Place,
        look: Look,
        changes: &Changes,
        plan: &mut Plan,
        report: &mut RefreshReport,
    ) {
        let known = self.catalogue.at(&place).cloned();
        match (look, known) {
            (Look::File(stat), Some(known)) if known.print.identity() == stat.print.identity() => {
                self.compare_same(&known, stat, changes, plan, report);
            }
            (Look::File(stat), known) => {
                plan.unplaced.extend(known.map(|known| known.id));
                plan.newcomers.push((place, stat));
            }
            (Look::Failed(error), Some(known)) => {
                report.unreadable += 1;
                self.retry_after(&error);
                if known.phase != ImagePhase::Unreadable {
                    plan.batch
                        .amend(known.id, Amendment::Unreadable(cannot_read(&place, &error)));
                }
            }
            (Look::Failed(error), None) => {
                report.unreadable += 1;
                self.retry_after(&error);
                tracing::warn!(path = %place.path, %error, "a file cannot be looked at");
            }
            (_, known) => plan.unplaced.extend(known.map(|known| known.id)),
        }
    }

    /// The file is the one that was known: has it changed, and is there work left on it?
    fn compare_same(
        &mut self,
        known: &Known,
        stat: FileStat,
        changes: &Changes,
        plan: &mut Plan,
        report: &mut RefreshReport,
    ) {
        let touch = changes.files.get(&known.place);
        let candidate = || Candidate {
            who: Who::Known(known.id),
            place: known.place.clone(),
            stat,
        };
        if known.phase == ImagePhase::Arriving {
            if touch.is_some_and(|touch| touch.turn) {
                self.stir(known.id);
            }
            plan.candidates.push(candidate());
        } else if known.print == stat.print {
            match known.phase {
                ImagePhase::Unreadable => plan.candidates.push(candidate()),
                _ => self.checks.follow(known),
            }
        } else if touch.is_some_and(|touch| touch.content)
            || !known.print.same_content(&stat.print) && touch.is_none()
        {
            report.changed += 1;
            plan.batch.amend(known.id, Amendment::Rewritten(stat));
            plan.candidates.push(candidate());
        } else if changes.asked
            && touch.is_none()
            && known.print.same_content(&stat.print)
            && self.is_told_of(known.place.folder)
        {
            // A new link, new rights: the kernel's word on it is on its way, and says whether the
            // content was touched. Checking everything again before it comes would be for nothing.
            self.checks.follow(known);
        } else {
            // Attributes, so far as anybody told. Whether that is all is known only when the kernel
            // told of it, and neither size nor time of the content is another.
            let forget = touch.is_none() || !known.print.same_content(&stat.print);
            plan.batch.amend(known.id, Amendment::Attributes(stat));
            if known.phase == ImagePhase::Unreadable {
                plan.candidates.push(candidate());
            } else if forget {
                plan.batch.amend(known.id, Amendment::Recheck { forget });
            }
        }
    }

    /// Whether the kernel tells of changes in the folder.
    fn is_told_of(&self, folder: usize) -> bool {
        let all = self
            .shared
            .watching
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        all.get(folder) == Some(&Watching::Events)
    }

    /// For each newcomer the image whose file it was, if it came from elsewhere.
    async fn find_sources(&self, plan: &mut Plan, changes: &Changes) -> HashMap<Place, Id> {
        let mut places = HashSet::new();
        let mut possible = Vec::new();
        for (place, stat) in &plan.newcomers {
            let told = changes
                .moves
                .get(place)
                .and_then(|from| self.catalogue.at(from));
            let told = told.filter(|known| known.print.ino == stat.print.ino);
            let alike = self.catalogue.of_file(&stat.print);
            for known in told.into_iter().chain(alike) {
                places.insert(known.place.clone());
                possible.push((place.clone(), known));
            }
        }
        // Its old place may not be among what was looked at. If the file is still there, the
        // newcomer is a second name of it (a hard link), and an image of its own.
        let mut looks = HashMap::new();
        looks.extend(self.look(places.into_iter().collect()).await);
        let mut sources = HashMap::new();
        let mut claimed = HashSet::new();
        for (place, known) in possible {
            let is_there = match looks.get(&known.place) {
                Some(Look::File(stat)) => stat.print.identity() == known.print.identity(),
                Some(Look::Failed(_)) => true,
                _ => false,
            };
            let free = known.phase == ImagePhase::Missing || !is_there;
            if free && !sources.contains_key(&place) && claimed.insert(known.id) {
                sources.insert(place, known.id);
                plan.unplaced.remove(&known.id);
            }
        }
        sources
    }

    /// Images whose files are nowhere. First, because it frees names.
    async fn let_go(
        &mut self,
        plan: &mut Plan,
        sources: &HashMap<Place, Id>,
        report: &mut RefreshReport,
    ) {
        let taken: HashSet<&Place> = plan.newcomers.iter().map(|(place, _)| place).collect();
        let mut batch = Batch::default();
        for id in &plan.unplaced {
            let Some(known) = self.catalogue.get(*id) else {
                continue;
            };
            let replaced =
                taken.contains(&known.place) || sources.keys().any(|place| *place == known.place);
            let path = &known.place.path;
            let why = if replaced {
                format!("Another file took the place of {path}.")
            } else {
                format!("The file {path} was removed from the image folder.")
            };
            report.vanished += 1;
            batch.amend(*id, Amendment::Gone { why, replaced });
        }
        self.write(batch).await;
    }

    fn moved(&mut self, known: &Known, place: Place, stat: FileStat, plan: &mut Plan) {
        let wanted = wanted_name(&place);
        let name = self.rename(&known.name, wanted);
        let returned = known.phase == ImagePhase::Missing;
        let unchanged = known.print.same_content(&stat.print) && !returned;
        let folder = self.shared.roots[place.folder].folder.name.clone();
        let path = place.path.to_string();
        plan.batch
            .amend(known.id, Amendment::Moved { folder, path, name });
        if unchanged && known.phase != ImagePhase::Arriving {
            plan.batch.amend(known.id, Amendment::Attributes(stat));
            plan.batch
                .amend(known.id, Amendment::Sums(self.lists.expected(&place)));
            if known.phase != ImagePhase::Unreadable {
                return;
            }
        } else if known.phase != ImagePhase::Arriving {
            plan.batch.amend(known.id, Amendment::Rewritten(stat));
        }
        plan.candidates.push(Candidate {
            who: Who::Known(known.id),
            place,
            stat,
        });
    }

    /// The name that an image of this name gets when its file is renamed.
    fn rename(&mut self, current: &Name, wanted: Name) -> Name {
        if *current == wanted {
            return wanted;
        }
        if Names::fits(current, &wanted) && self.names.is_taken(&wanted) {
            return current.clone();
        }
        self.names.reserve(wanted)
    }
}

/// The name that the file at the place gives to its image; for a temporary file, that of the file
/// that it will be.
pub(super) fn wanted_name(place: &Place) -> Name {
    let file_name = place.path.file_name();
    match kind(file_name) {
        Kind::Temporary(target) => image_name(target),
        _ => image_name(file_name),
    }
}

/// Why a file cannot be read, and what to do.
pub(super) fn cannot_read(place: &Place, error: &std::io::Error) -> String {
    let remedy = match error.kind() {
        std::io::ErrorKind::PermissionDenied => "give the daemon's user read access to it",
        std::io::ErrorKind::NotFound => "make its folder available again",
        _ => "see that its disk is there and sound",
    };
    format!("{} cannot be read: {error}; {remedy}", place.path)
}
