//! `kinglet image`: the library of disk images.

mod cancel;
mod check;
mod ls;
mod refresh;
mod rm;
mod show;
mod upload;

use clap::{Args, Subcommand};
use kinglet_model::Image;
use kinglet_model::image::ImagePhase;

use super::Session;
use crate::failure::Outcome;
use crate::output::Tone;

/// The library of disk images: what is in the watched folders
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
    Rm(rm::Rm),
    Refresh(refresh::Refresh),
    Check(check::Check),
    Upload(upload::Upload),
    Cancel(cancel::Cancel),
}

impl Command {
    /// Does it.
    pub async fn run(self, session: &Session) -> Outcome {
        match self.verb {
            Verb::Ls(verb) => verb.run(session).await,
            Verb::Show(verb) => verb.run(session).await,
            Verb::Rm(verb) => verb.run(session).await,
            Verb::Refresh(verb) => verb.run(session).await,
            Verb::Check(verb) => verb.run(session).await,
            Verb::Upload(verb) => verb.run(session).await,
            Verb::Cancel(verb) => verb.run(session).await,
        }
    }
}

/// An image by name or id.
#[derive(Debug, Args)]
struct Named {
    /// The image's name or id
    #[arg(value_name = "IMAGE")]
    image: String,
}

const fn tone(phase: ImagePhase) -> Tone {
    match phase {
        ImagePhase::Ready => Tone::Good,
        ImagePhase::Damaged
        | ImagePhase::Unreadable
        | ImagePhase::Failed
        | ImagePhase::Trashed
        | ImagePhase::Missing => Tone::Bad,
        _ => Tone::Busy,
    }
}

/// `checking 45 %`
fn phase(image: &Image) -> String {
    let phase = image.status.phase;
    image.status.progress.as_ref().map_or_else(
        || phase.to_string(),
        |progress| format!("{phase} {}", crate::output::progress::brief(progress)),
    )
}

/// `qcow2`, `raw in zstd`
fn format(image: &Image) -> String {
    match (image.status.format, image.status.compression) {
        (Some(format), Some(compression)) => format!("{format} in {}", compression.as_str()),
        (Some(format), None) => format.to_string(),
        (None, _) => "-".to_owned(),
    }
}
