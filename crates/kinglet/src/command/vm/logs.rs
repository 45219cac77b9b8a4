//! `kinglet vm logs`.

use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use kinglet_client::ConsoleFrom;

use super::{Named, Session};
use crate::attach::{self, Manner};
use crate::failure::Outcome;

/// Print what a VM's console said, as far back as it is kept
#[derive(Debug, Args)]
pub struct Logs {
    #[command(flatten)]
    named: Named,
    /// Go on as more comes
    #[arg(long, short)]
    follow: bool,
}

impl Logs {
    /// Prints the bytes as they are.
    pub async fn run(self, session: &Session) -> Outcome {
        let client = session.client()?;
        let log = client.console_log(&self.named.vm, None).await?;
        let mut screen = io::stdout();
        screen.write_all(&log.output)?;
        screen.flush()?;
        if !self.follow {
            return Ok(());
        }
        let read = u64::try_from(log.output.len()).unwrap_or(u64::MAX);
        let manner = Manner {
            from: ConsoleFrom::Offset(log.offset.saturating_add(read)),
            types: false,
            steals: false,
            linger: Duration::ZERO,
        };
        attach::attach(&client, &self.named.vm, manner, &session.out)
            .await
            .map(drop)
    }
}
