//! `kinglet vm console`.

use std::time::Duration;

use clap::Args;
use kinglet_client::ConsoleFrom;

use super::{Named, Session};
use crate::attach::{self, Manner};
use crate::failure::Outcome;

/// Sit at a VM's serial console; Ctrl-] leaves
///
/// What is piped in is typed. After its end the console is shown until the guest has been silent for
/// a while.
#[derive(Debug, Args)]
pub struct Console {
    #[command(flatten)]
    named: Named,
    /// Only watch
    #[arg(long, conflicts_with = "steal")]
    read_only: bool,
    /// Take typing over from whoever has it
    #[arg(long)]
    steal: bool,
    /// Seconds of silence after the end of the input before it is left
    #[arg(long, value_name = "SECONDS", default_value_t = 2)]
    linger: u64,
}

impl Console {
    /// Attaches.
    pub async fn run(self, session: &Session) -> Outcome {
        let client = session.client()?;
        let manner = Manner {
            from: ConsoleFrom::Tail,
            types: !self.read_only,
            steals: self.steal,
            linger: Duration::from_secs(self.linger),
        };
        let end = attach::attach(&client, &self.named.vm, manner, &session.out).await?;
        attach::farewell(&session.out, &self.named.vm, end);
        Ok(())
    }
}
