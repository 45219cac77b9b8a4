//! `kinglet vm`: virtual machines.

mod console;
mod create;
mod logs;
mod ls;
mod media;
pub mod options;
mod power;
mod rm;
mod show;

use clap::{Args, Subcommand};
use kinglet_model::vm::{VmAction, VmPhase};

use super::Session;
use crate::failure::Outcome;
use crate::output::Tone;

/// Virtual machines
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Ls(ls::Ls),
    Show(show::Show),
    Create(Box<create::Create>),
    /// Switch a VM on
    Start(power::Power),
    /// Ask the guest to shut down; kill it when its deadline passes
    Stop(power::Power),
    /// Stop a VM, then start it
    Restart(power::Power),
    /// Halt the guest between two instructions
    Pause(power::Power),
    /// Let a paused guest go on
    Resume(power::Power),
    /// End a VM at once, as if the plug were pulled
    Kill(power::Power),
    Rm(rm::Rm),
    Console(console::Console),
    Logs(logs::Logs),
    Media(media::Command),
}

impl Command {
    /// Does it.
    pub async fn run(self, session: &Session) -> Outcome {
        match self.verb {
            Verb::Ls(verb) => verb.run(session).await,
            Verb::Show(verb) => verb.run(session).await,
            Verb::Create(verb) => verb.run(session).await,
            Verb::Start(verb) => verb.run(session, VmAction::Start).await,
            Verb::Stop(verb) => verb.run(session, VmAction::Stop).await,
            Verb::Restart(verb) => verb.run(session, VmAction::Restart).await,
            Verb::Pause(verb) => verb.run(session, VmAction::Pause).await,
            Verb::Resume(verb) => verb.run(session, VmAction::Resume).await,
            Verb::Kill(verb) => verb.run(session, VmAction::Kill).await,
            Verb::Rm(verb) => verb.run(session).await,
            Verb::Console(verb) => verb.run(session).await,
            Verb::Logs(verb) => verb.run(session).await,
            Verb::Media(verb) => verb.run(session).await,
        }
    }
}

/// A VM by name or id.
#[derive(Debug, Args)]
pub struct Named {
    /// The VM's name or id
    #[arg(value_name = "VM")]
    vm: String,
}

pub use power::failed;

const fn tone(phase: VmPhase) -> Tone {
    match phase {
        VmPhase::Running => Tone::Good,
        VmPhase::Waiting
        | VmPhase::Starting
        | VmPhase::Stopping
        | VmPhase::Paused
        | VmPhase::Deleting => Tone::Busy,
        VmPhase::Failed => Tone::Bad,
        VmPhase::Stopped => Tone::Plain,
    }
}
