//! The registry on SQLite: one thread owns the writing connection, one the reading connection.
//! When nothing is asked both sleep without a timer.

mod apply;
mod backup;
mod command;
mod fault;
mod file;
mod header;
mod lock;
mod read;
mod reader;
mod rows;
mod writer;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use futures::future::{BoxFuture, FutureExt};
use kinglet_model::Revision;
use tokio::sync::oneshot;

use self::{
    command::{Command, Inbox},
    fault::Site,
    reader::Reader,
    writer::Writer,
};
use crate::{
    backend::Backend,
    entry::{Entry, Key, KeyRange, LeaseId, Page},
    error::{RegistryError, TxnError},
    txn::{Committed, Txn},
    watch::{Watch, follow},
};

/// How a registry on SQLite is opened.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How many revisions of history are kept at least; older ones are forgotten now and then,
    /// during writes. At least 1.
    pub keep_revisions: u64,
    /// The largest size of the database file in bytes; beyond it changes fail with `NoSpace`.
    /// `None`: as large as the filesystem allows.
    pub max_bytes: Option<u64>,
    /// Whether to renew `registry.backup.db` at opening when it is older than a day.
    pub backup: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keep_revisions: 10_000,
            max_bytes: None,
            backup: true,
        }
    }
}

/// The durable registry.
pub(crate) struct SqliteBackend {
    reader: Arc<Reader>,
    inbox: Inbox,
    read_thread: Mutex<Option<JoinHandle<()>>>,
    write_thread: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteBackend {
    pub(crate) fn open(path: &Path, options: Options) -> Result<Self, RegistryError> {
        let opened = file::open(path, &options)?;
        let site = Site::new(path);
        let (writer, inbox, latest) = Writer::new(opened, site.clone(), &options)?;
        let (reader, read_thread) = Reader::start(site.clone(), latest)?;
        let write_thread = spawn(&site, "registry-write", move || writer.run())?;
        Ok(Self {
            reader,
            inbox,
            read_thread: Mutex::new(Some(read_thread)),
            write_thread: Mutex::new(Some(write_thread)),
        })
    }

    async fn ask<T, E: From<RegistryError>>(
        &self,
        command: impl FnOnce(oneshot::Sender<Result<T, E>>) -> Command,
    ) -> Result<T, E> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(command(reply))?;
        answer
            .await
            .unwrap_or_else(|_| Err(RegistryError::Closed.into()))
    }

    /// Ends the threads, the reader first: SQLite tidies its files up with the last connection,
    /// and only the writer's may write.
    fn stop(&self) {
        self.reader.stop();
        join(&self.read_thread);
        self.inbox.stop();
        join(&self.write_thread);
    }
}

fn join(thread: &Mutex<Option<JoinHandle<()>>>) {
    // The lock is held while joining, so that a second caller returns only when it has ended too.
    let mut thread = thread.lock().unwrap_or_else(PoisonError::into_inner);
    if thread.take().is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("a thread of the registry had panicked");
    }
}

impl Drop for SqliteBackend {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Backend for SqliteBackend {
    fn get(&self, key: Key) -> BoxFuture<'_, Result<Option<Entry>, RegistryError>> {
        self.reader
            .read(move |db| read::get(db, key.as_str()))
            .boxed()
    }

    fn range(
        &self,
        range: KeyRange,
        after: Option<Key>,
        limit: usize,
    ) -> BoxFuture<'_, Result<Page, RegistryError>> {
        self.reader
            .read(move |db| read::range(db, &range, after.as_ref(), limit))
            .boxed()
    }

    fn count(&self, range: KeyRange) -> BoxFuture<'_, Result<u64, RegistryError>> {
        self.reader.read(move |db| read::count(db, &range)).boxed()
    }

    fn txn(&self, txn: Txn) -> BoxFuture<'_, Result<Committed, TxnError>> {
        self.ask(|reply| Command::Txn { txn, reply }).boxed()
    }

    fn grant(&self, ttl: Duration) -> BoxFuture<'_, Result<LeaseId, RegistryError>> {
        self.ask(move |reply| Command::Grant { ttl, reply }).boxed()
    }

    fn keep_alive(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), RegistryError>> {
        self.ask(move |reply| Command::KeepAlive { lease, reply })
            .boxed()
    }

    fn revoke(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), RegistryError>> {
        self.ask(move |reply| Command::Revoke { lease, reply })
            .boxed()
    }

    fn watch(&self, range: KeyRange, from: Revision) -> Watch {
        follow(Arc::clone(&self.reader), range, from)
    }

    fn compact(&self, upto: Revision) -> BoxFuture<'_, Result<(), RegistryError>> {
        self.ask(move |reply| Command::Compact { upto, reply })
            .boxed()
    }

    fn current_revision(&self) -> Revision {
        self.reader.current_revision()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        async move {
            // What was queued before is finished; the answer to this one comes last.
            let _: Result<(), RegistryError> = self.ask(|reply| Command::Close { reply }).await;
            self.stop();
        }
        .boxed()
    }
}

fn spawn(
    site: &Site,
    name: &str,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, RegistryError> {
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .map_err(|error| site.io(&error))
}
