//! `kinglet vm create`.

use clap::Args;
use kinglet_model::vm::Power;

use super::Session;
use super::options::Options;
use crate::failure::Outcome;

/// Make a VM without starting it
#[derive(Debug, Args)]
pub struct Create {
    /// The image that its first disk begins as
    image: Option<String>,
    #[command(flatten)]
    options: Options,
}

impl Create {
    /// Makes it and prints its name.
    pub async fn run(self, session: &Session) -> Outcome {
        let new = self.options.new_vm(self.image, Power::Off)?;
        let vm = session.client()?.create_vm(&new).await?;
        session
            .out
            .result(&vm, || format!("{}\n", vm.metadata.name))
    }
}
