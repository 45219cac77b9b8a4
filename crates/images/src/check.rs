//! Looks at a settled file: what it is, whether it is whole, what its digest is. Runs on a blocking
//! thread and only reports; what follows from it is the keeper's to decide.

use std::fs::File;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kinglet_disk::probe::Probe;
use kinglet_model::Id;
use kinglet_registry::Registry;

use crate::fingerprint::Fingerprint;
use crate::folder::{Look, look, open_file, stat_open};
use crate::inspect::{Inspect, Reading, Unread};
use crate::path::RelPath;
use crate::progress::Reporter;

/// A file no larger than this is read in one go with looking at it.
pub(crate) const SMALL: u64 = 1 << 20;

/// How far a check goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// Headers and tables; everything, if it is small.
    Look,
    /// Everything.
    Read,
}

/// A file to be checked.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// The image.
    pub(crate) id: Id,
    /// The folder it lies in.
    pub(crate) root: Arc<OwnedFd>,
    /// Where in it.
    pub(crate) path: RelPath,
    /// What the file must look like, before and after.
    pub(crate) print: Fingerprint,
    /// Set to stop it.
    pub(crate) cancel: Arc<AtomicBool>,
}

/// What a check came to.
#[derive(Debug)]
pub(crate) struct Report {
    /// The image.
    pub(crate) id: Id,
    /// The state of the file that was checked.
    pub(crate) print: Fingerprint,
    /// The outcome.
    pub(crate) outcome: Outcome,
}

/// The outcome of a check.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It was understood, and perhaps read.
    Found {
        /// What it is.
        probe: Probe,
        /// What reading it came to, if it was read.
        reading: Option<Reading>,
    },
    /// The file changed meanwhile, or the check was stopped: nothing is known.
    Changed,
    /// It could not be read.
    Unreadable(String),
}

impl Job {
    /// Checks the file.
    pub(crate) fn run(&self, inspect: &dyn Inspect, depth: Depth, registry: &Registry) -> Report {
        let outcome = match self.check(inspect, depth, registry) {
            Ok((probe, reading)) => Outcome::Found { probe, reading },
            Err(Unread::Stopped) => Outcome::Changed,
            // An error of a file that went away or was written to says nothing about the new one.
            Err(Unread::Failed(_)) if !self.is_unchanged() => Outcome::Changed,
            Err(Unread::Failed(why)) => Outcome::Unreadable(why),
        };
        Report {
            id: self.id,
            print: self.print,
            outcome,
        }
    }

    fn check(
        &self,
        inspect: &dyn Inspect,
        depth: Depth,
        registry: &Registry,
    ) -> Result<(Probe, Option<Reading>), Unread> {
        let file = open_file(self.root.as_fd(), &self.path)
            .map_err(|error| Unread::Failed(error.to_string()))?;
        self.same(&file)?;
        let probe = inspect.look(&file).map_err(Unread::Failed)?;
        let reading = if depth == Depth::Read || self.print.size <= SMALL {
            self.read(inspect, &file, &probe, depth, registry)?
        } else {
            None
        };
        self.same(&file)?;
        Ok((probe, reading))
    }

    fn read(
        &self,
        inspect: &dyn Inspect,
        file: &File,
        probe: &Probe,
        depth: Depth,
        registry: &Registry,
    ) -> Result<Option<Reading>, Unread> {
        // What is damaged by its structure already is not worth the reading.
        if !probe.wholeness.is_whole() {
            return Ok(None);
        }
        let mut reporter =
            (depth == Depth::Read).then(|| Reporter::new(registry.clone(), self.id, "hashing"));
        let reading = inspect.read(file, probe, &mut |done, total| {
            if self.cancel.load(Ordering::Relaxed) {
                return ControlFlow::Break(());
            }
            if let Some(reporter) = &mut reporter {
                reporter.report(done, Some(total));
            }
            ControlFlow::Continue(())
        });
        match reading {
            _ if self.cancel.load(Ordering::Relaxed) => Err(Unread::Stopped),
            result => result.map(Some),
        }
    }

    /// Nobody wrote to the open file.
    fn same(&self, file: &File) -> Result<(), Unread> {
        match stat_open(file.as_fd()) {
            Ok(Some(now)) if self.matches(&now.print) => Ok(()),
            Ok(_) => Err(Unread::Stopped),
            Err(error) => Err(Unread::Failed(error.to_string())),
        }
    }

    fn matches(&self, now: &Fingerprint) -> bool {
        now.same_file(&self.print) && now.same_content(&self.print)
    }

    fn is_unchanged(&self) -> bool {
        match look(self.root.as_fd(), &self.path) {
            Look::File(stat) => self.matches(&stat.print),
            Look::Failed(_) => true,
            _ => false,
        }
    }
}
