//! The verbs, one file each. Adding one: a file, and a line in [`Command`] and in its `run`.

mod completion;
mod confirm;
mod doctor;
mod events;
mod image;
mod man;
mod run;
mod serve;
mod session;
mod vm;
mod web;

use std::process::ExitCode;

use clap::Subcommand;

pub use session::Session;

use crate::failure::Outcome;

/// What is to be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    Serve(serve::Serve),
    Doctor(doctor::Doctor),
    Run(Box<run::Run>),
    Image(image::Command),
    Vm(vm::Command),
    Events(events::Events),
    Web(web::Web),
    Completion(completion::Completion),
    Man(man::Man),
}

impl Command {
    /// Does it.
    pub fn run(self, session: &Session) -> Outcome<ExitCode> {
        match self {
            Self::Doctor(verb) => return verb.run(session),
            Self::Completion(verb) => return verb.run(session),
            Self::Man(verb) => return verb.run(session),
            Self::Serve(verb) => verb.run(session),
            Self::Run(verb) => session.asking(verb.run(session)),
            Self::Image(verb) => session.asking(verb.run(session)),
            Self::Vm(verb) => session.asking(verb.run(session)),
            Self::Events(verb) => session.asking(verb.run(session)),
            Self::Web(verb) => session.asking(verb.run(session)),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}
