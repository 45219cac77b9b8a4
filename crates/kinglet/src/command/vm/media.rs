//! `kinglet vm media`: the disc in a VM's CD-ROM drive.

use clap::{Args, Subcommand};

use super::{Named, Session};
use crate::failure::Outcome;

/// The disc in a VM's CD-ROM drive
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Put an ISO image in the drive
    Insert(Insert),
    /// Take the disc out
    Eject(Eject),
}

#[derive(Debug, Args)]
struct Insert {
    #[command(flatten)]
    named: Named,
    /// The ISO image's name or id
    image: String,
}

#[derive(Debug, Args)]
struct Eject {
    #[command(flatten)]
    named: Named,
}

impl Command {
    /// Does it.
    pub async fn run(self, session: &Session) -> Outcome {
        let client = session.client()?;
        let vm = match self.verb {
            Verb::Insert(verb) => {
                client
                    .insert_media(&verb.named.vm, &verb.image, None)
                    .await?
            }
            Verb::Eject(verb) => client.eject_media(&verb.named.vm, None).await?,
        };
        if session.out.is_json() {
            return session.out.json(&vm);
        }
        let disc = vm.spec.media.as_deref().unwrap_or("no disc");
        session
            .out
            .note(&format!("VM {} has {disc} in its drive.", vm.metadata.name));
        Ok(())
    }
}
