//! The verbs, one file each. Adding one: a file, and a line in [`Command`] and in its `run`.

mod completion;
mod doctor;
mod kvm_probe;
mod man;

use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::Global;
use crate::failure::Outcome;
use crate::output::Output;

/// What is to be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Find out what this machine can do for VMs, with a remedy for what it cannot
    Doctor(doctor::Doctor),
    /// Print the completion script for a shell
    Completion(completion::Completion),
    /// Print the manual page of kinglet, or of one of its commands
    Man(man::Man),
    #[command(name = kinglet_host::kvm::VERB, hide = true)]
    KvmProbe(kvm_probe::KvmProbe),
}

/// What every verb works with.
#[derive(Debug)]
pub struct Session {
    pub global: Global,
    pub out: Output,
}

impl Session {
    /// A session as the flags say.
    pub const fn new(global: Global, out: Output) -> Self {
        Self { global, out }
    }
}

impl Command {
    /// Does it.
    pub fn run(self, session: Session) -> Outcome<ExitCode> {
        match self {
            Self::Doctor(verb) => verb.run(&session),
            Self::Completion(verb) => verb.run(&session),
            Self::Man(verb) => verb.run(&session),
            Self::KvmProbe(verb) => Ok(verb.run()),
        }
    }
}
