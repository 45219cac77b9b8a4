//! The reading side: a thread with a connection that can only read.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Sender},
    },
    thread::JoinHandle,
};

use futures::future::BoxFuture;
use kinglet_model::Revision;
use rusqlite::Connection;
use tokio::sync::{oneshot, watch};

use super::{fault::Site, file, read, spawn};
use crate::{
    entry::KeyRange,
    error::{RegistryError, WatchError},
    watch::{History, Log},
};

type Job = Box<dyn FnOnce(&Connection) + Send>;

/// A handle of the reading thread.
pub(super) struct Reader {
    /// `None` once stopped.
    jobs: Mutex<Option<Sender<Job>>>,
    site: Site,
    latest: watch::Receiver<Revision>,
}

impl Reader {
    pub(super) fn start(
        site: Site,
        latest: watch::Receiver<Revision>,
    ) -> Result<(Arc<Self>, JoinHandle<()>), RegistryError> {
        let db = file::connect_to_read(&site)?;
        let (jobs, queue) = mpsc::channel::<Job>();
        let thread = spawn(&site, "registry-read", move || {
            for job in queue {
                job(&db);
            }
        })?;
        Ok((
            Arc::new(Self {
                jobs: Mutex::new(Some(jobs)),
                site,
                latest,
            }),
            thread,
        ))
    }

    /// Runs a query on the thread. It sees everything acknowledged before this call.
    pub(super) fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> impl Future<Output = Result<T, RegistryError>> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |db| {
            // Nobody waits any more when the asking future was dropped.
            let _ = reply.send(query(db));
        });
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        // A job that cannot be sent is dropped, and its reply with it.
        let _ = jobs.as_ref().map(|jobs| jobs.send(job));
        let site = self.site.clone();
        async move {
            let result = answer.await.map_err(|_| RegistryError::Closed)?;
            result.map_err(|error| site.sql(&error))
        }
    }

    pub(super) fn current_revision(&self) -> Revision {
        *self.latest.borrow()
    }

    pub(super) fn stop(&self) {
        self.jobs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}

impl Log for Reader {
    fn latest(&self) -> watch::Receiver<Revision> {
        self.latest.clone()
    }

    fn history(
        &self,
        range: KeyRange,
        from: Revision,
        events: usize,
    ) -> BoxFuture<'_, Result<History, WatchError>> {
        let page = self.read(move |db| read::history(db, &range, from, events));
        Box::pin(async move {
            page.await?
                .map_err(|compacted| WatchError::Compacted { compacted })
        })
    }
}
