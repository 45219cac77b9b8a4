//! `kinglet man`: manual pages, made from the same definition as the help.

use std::process::ExitCode;

use clap::Args;

use crate::cli;
use crate::command::Session;
use crate::failure::{Failure, Outcome};

/// Print the manual page of kinglet, or of one of its commands
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  kinglet man vm create | man -l -")]
pub struct Man {
    /// The command, such as `vm create`
    command: Vec<String>,
}

impl Man {
    /// Prints the page in roff.
    pub fn run(self, session: &Session) -> Outcome<ExitCode> {
        let mut definition = cli::definition();
        definition.build();
        let mut at = &definition;
        for name in &self.command {
            at = at.find_subcommand(name).ok_or_else(|| {
                Failure::usage(format!("there is no command `{}`", self.command.join(" ")))
            })?;
        }
        let full = std::iter::once("kinglet")
            .chain(self.command.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join("-");
        let mut page = Vec::new();
        clap_mangen::Man::new(at.clone().display_name(full))
            .render(&mut page)
            .map_err(|error| Failure::failed(format!("the page cannot be made ({error})")))?;
        session.out.print(&String::from_utf8_lossy(&page))?;
        Ok(ExitCode::SUCCESS)
    }
}
