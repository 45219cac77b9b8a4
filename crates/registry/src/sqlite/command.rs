//! What the writer is asked, where it is put, and how it is answered.

use std::{
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    time::Duration,
};

use kinglet_model::Revision;
use tokio::sync::oneshot;

use crate::{
    entry::LeaseId,
    error::{RegistryError, TxnError},
    txn::{Committed, Txn},
};

pub(super) type Reply<T, E = RegistryError> = oneshot::Sender<Result<T, E>>;

/// What the writer is asked.
pub(super) enum Command {
    Txn {
        txn: Txn,
        reply: Reply<Committed, TxnError>,
    },
    Grant {
        ttl: Duration,
        reply: Reply<LeaseId>,
    },
    KeepAlive {
        lease: LeaseId,
        reply: Reply<()>,
    },
    Revoke {
        lease: LeaseId,
        reply: Reply<()>,
    },
    Compact {
        upto: Revision,
        reply: Reply<()>,
    },
    Close {
        reply: Reply<()>,
    },
}

/// Where commands are put.
pub(super) struct Inbox(Mutex<Option<Sender<Command>>>);

impl Inbox {
    pub(super) fn new() -> (Self, Receiver<Command>) {
        let (sender, queue) = mpsc::channel();
        (Self(Mutex::new(Some(sender))), queue)
    }

    pub(super) fn send(&self, command: Command) -> Result<(), RegistryError> {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sender = sender.as_ref().ok_or(RegistryError::Closed)?;
        sender.send(command).map_err(|_| RegistryError::Closed)
    }

    /// No more commands; the writer ends when it has done those already here.
    pub(super) fn stop(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The answer to one command, held back until it is on disk.
pub(super) enum Answer {
    Txn(Result<Committed, TxnError>),
    Lease(LeaseId),
    Done(Result<(), RegistryError>),
}

/// An answer to somebody who no longer waits is lost, which is what they wanted.
impl Command {
    pub(super) fn answer(self, answer: Answer) {
        match (self, answer) {
            (Self::Txn { reply, .. }, Answer::Txn(result)) => drop(reply.send(result)),
            (Self::Grant { reply, .. }, Answer::Lease(id)) => drop(reply.send(Ok(id))),
            (
                Self::KeepAlive { reply, .. }
                | Self::Revoke { reply, .. }
                | Self::Compact { reply, .. }
                | Self::Close { reply },
                Answer::Done(result),
            ) => drop(reply.send(result)),
            // `State::apply` gives each command its kind of answer; without one the asker is told
            // that the registry is closed.
            _ => tracing::error!("the registry gave an answer of the wrong kind"),
        }
    }

    pub(super) fn refuse(self, error: RegistryError) {
        match self {
            Self::Txn { reply, .. } => drop(reply.send(Err(error.into()))),
            Self::Grant { reply, .. } => drop(reply.send(Err(error))),
            Self::KeepAlive { reply, .. }
            | Self::Revoke { reply, .. }
            | Self::Compact { reply, .. }
            | Self::Close { reply } => drop(reply.send(Err(error))),
        }
    }
}
