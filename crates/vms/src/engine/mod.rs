//! What runs a guest. One trait for starting and finding a process, one for talking to it.
//!
//! The life of a VM's process, in the order in which a keeper calls: [`Engine::choose`] at creation
//! and again at each start; [`Engine::start`] with the lock held; [`Engine::attach`] at once and again
//! after each restart of the program; then the [`Session`]'s methods, until [`Session::quit`] or a kill.

pub mod qemu;

use std::fs::File;
use std::io;
use std::path::PathBuf;

use futures::future::BoxFuture;
use kinglet_model::vm::{Engine as Chosen, VmSpec};
use kinglet_model::{Id, Problem, Vm};
use thiserror::Error;
use tokio::sync::watch;

use crate::folder::Folder;

/// What the guest is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guest {
    /// It runs.
    Running,
    /// It was halted on request, or has not begun.
    Paused,
    /// The engine halted it because it could not go on; why, for a person.
    Stuck(String),
    /// It shut itself down; its process waits to be told to end.
    ShutDown,
    /// Its kernel panicked; its process waits.
    Panicked,
}

/// What a VM moved since its start. `None` where the engine cannot tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Bytes read from its disks.
    pub disk_read: u64,
    /// Bytes written to its disks.
    pub disk_written: u64,
    /// Guest memory after what the balloon took.
    pub balloon: Option<u64>,
}

/// Everything that a process is started with.
pub struct Launch<'a> {
    /// The VM.
    pub vm: &'a Vm,
    /// What was chosen for it.
    pub chosen: &'a Chosen,
    /// Its files.
    pub folder: &'a Folder,
    /// Its lock, held; the process inherits it.
    pub lock: File,
    /// Its tap device, where its network is one.
    pub tap: Option<File>,
    /// Begin halted.
    pub halted: bool,
}

/// Why a process could not be started or talked to.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The engine's program is not there.
    #[error("QEMU is not installed; install it (Debian: apt install qemu-system-x86)")]
    Missing,
    /// The host refused a file, a socket or the process.
    #[error("cannot {what}: {source}")]
    Host {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// The control connection is closed.
    #[error("the engine closed its control connection")]
    Closed,
    /// The engine did not answer in time.
    #[error("the engine did not answer {0} in time")]
    Silent(String),
    /// The engine answered what makes no sense.
    #[error("the engine's answer to {0} is not understood")]
    Answer(String),
    /// The engine refused.
    #[error("the engine refused {command}: {why}")]
    Refused {
        /// What it was told.
        command: String,
        /// What it said.
        why: String,
    },
}

/// A program that runs guests.
pub trait Engine: Send + Sync {
    /// Whether it can run what is wanted, and how; the refusal otherwise.
    ///
    /// # Errors
    /// Where this host cannot.
    fn choose(&self, spec: &VmSpec) -> Result<Chosen, Problem>;

    /// Starts a process; returns its number without waiting for the guest. Blocks shortly.
    ///
    /// # Errors
    /// Where the host refuses; then there is no process.
    fn start(&self, launch: Launch<'_>) -> Result<u32, EngineError>;

    /// Connects to the process of a VM.
    fn attach(&self, folder: Folder) -> BoxFuture<'static, Result<Box<dyn Session>, EngineError>>;
}

/// A connection to the process of one VM.
pub trait Session: Send + Sync {
    /// What the guest is doing.
    fn guest(&self) -> BoxFuture<'_, Result<Guest, EngineError>>;
    /// Halts the guest.
    fn pause(&self) -> BoxFuture<'_, Result<(), EngineError>>;
    /// Lets it go on.
    fn resume(&self) -> BoxFuture<'_, Result<(), EngineError>>;
    /// Presses the power button.
    fn power_down(&self) -> BoxFuture<'_, Result<(), EngineError>>;
    /// Ends the process in good order.
    fn quit(&self) -> BoxFuture<'_, Result<(), EngineError>>;
    /// The disc in the drive; `None`: empty.
    fn media(&self) -> BoxFuture<'_, Result<Option<Id>, EngineError>>;
    /// Puts the disc with this reference in the drive, or empties it. What was in it is ejected.
    fn set_media(&self, disc: Option<(Id, PathBuf)>) -> BoxFuture<'_, Result<(), EngineError>>;
    /// What it moved.
    fn figures(&self) -> BoxFuture<'_, Result<Figures, EngineError>>;
    /// Changes whenever something happened that may have changed [`Session::guest`]; closed when the
    /// connection is.
    fn changes(&self) -> watch::Receiver<u64>;
}
