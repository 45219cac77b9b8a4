//! `kinglet completion`: scripts that complete commands in a shell.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use clap_complete::Shell as Target;

use crate::cli;
use crate::command::Session;
use crate::failure::{Failure, Outcome};

/// Print the completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kinglet completion bash > /etc/bash_completion.d/kinglet
  kinglet completion zsh > \"${fpath[1]}/_kinglet\"
  kinglet completion fish > ~/.config/fish/completions/kinglet.fish")]
pub struct Completion {
    /// The shell
    shell: Shell,
}

/// Shells that have completion.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Completion {
    /// Prints the script.
    pub fn run(self, session: &Session) -> Outcome<ExitCode> {
        let target = match self.shell {
            Shell::Bash => Target::Bash,
            Shell::Zsh => Target::Zsh,
            Shell::Fish => Target::Fish,
        };
        let mut script = Vec::new();
        clap_complete::generate(target, &mut cli::definition(), "kinglet", &mut script);
        let script = String::from_utf8(script)
            .map_err(|error| Failure::failed(format!("the script is not text ({error})")))?;
        session.out.print(&script)?;
        Ok(ExitCode::SUCCESS)
    }
}
