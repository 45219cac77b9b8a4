//! `kinglet serve`: the daemon.

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use tracing_subscriber::EnvFilter;

use super::Session;
use crate::daemon;
use crate::daemon::config::{Config, Listen, Said};
use crate::failure::{Failure, Outcome};
use crate::places::Surroundings;

/// Run the daemon, which keeps images and VMs
///
/// Everything it needs lies in its data folder; a second daemon is a second folder and socket. When
/// it ends, VMs run on, and the next start finds them. Settings beside these flags are read from
/// kinglet.toml in the data folder.
#[derive(Debug, Args)]
pub struct Serve {
    /// The data folder [default: /var/lib/kinglet for root, else ~/.local/share/kinglet]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Address of the page; `none` for the socket alone [default: 127.0.0.1:7480]
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<Listen>,
    /// Configuration file [default: kinglet.toml in the data folder, where it is there]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Serve {
    /// Runs until it is told to end.
    pub fn run(self, session: &Session) -> Outcome {
        log();
        let here = Surroundings::here();
        let data = self
            .data
            .or_else(|| here.data())
            .ok_or_else(|| Failure::usage("say where the data is: --data DIR"))?;
        let data = std::path::absolute(&data)?;
        let socket = session
            .socket()
            .map(std::path::Path::to_owned)
            .or_else(|| here.socket())
            .ok_or_else(|| Failure::usage("say where the socket is: --socket PATH"))?;
        let config = Config::read(self.config.as_deref(), &data)?;
        let settings = config.settle(Said {
            data,
            socket: std::path::absolute(&socket)?,
            listen: self.listen,
        })?;
        daemon::run(settings, &session.out)
    }
}

/// The log goes to standard error; the journal adds the time itself. `KINGLET_LOG` says how much.
fn log() {
    let filter = EnvFilter::try_from_env("KINGLET_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(std::io::stderr().is_terminal());
    // Fails only where a logger is set already, which then serves.
    let _ = if std::env::var_os("JOURNAL_STREAM").is_some() {
        log.without_time().try_init()
    } else {
        log.try_init()
    };
}
