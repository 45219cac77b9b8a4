//! What every verb works with: how to print, and how to reach the daemon.

use std::future::Future;

use kinglet_client::{Client, Place};

use crate::cli::Global;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use crate::places::Surroundings;

/// What every verb works with.
#[derive(Debug)]
pub struct Session {
    pub out: Output,
    global: Global,
}

impl Session {
    /// A session as the flags say.
    pub const fn new(global: Global, out: Output) -> Self {
        Self { out, global }
    }

    /// The socket that was asked for, by flag or environment.
    pub fn socket(&self) -> Option<&std::path::Path> {
        self.global.socket.as_deref()
    }

    /// A client of the daemon that is meant.
    pub fn client(&self) -> Outcome<Client> {
        Ok(Client::new(self.place()?))
    }

    /// Runs a verb that talks to the daemon. What still reads standard input then is left to itself.
    pub fn asking<T>(&self, verb: impl Future<Output = Outcome<T>>) -> Outcome<T> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let outcome = runtime.block_on(verb);
        runtime.shutdown_background();
        outcome
    }

    fn place(&self) -> Outcome<Place> {
        if let Some(url) = &self.global.host {
            return Place::from_url(url, self.token()?)
                .map_err(|error| Failure::usage(error.to_string()));
        }
        self.global
            .socket
            .clone()
            .or_else(|| Surroundings::here().socket())
            .map(Place::Socket)
            .ok_or_else(|| Failure::usage("say where the daemon is: --socket PATH or --host URL"))
    }

    fn token(&self) -> Outcome<Option<String>> {
        let Some(file) = &self.global.token_file else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(file).map_err(|error| {
            Failure::usage(format!(
                "the token file {} cannot be read ({error})",
                file.display()
            ))
        })?;
        Ok(Some(text.trim().to_owned()))
    }
}
