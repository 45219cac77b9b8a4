//! The program: `kinglet serve` and every other verb. Thin glue over the libraries; what it prints for
//! programs goes to standard output, everything else to standard error.

mod attach;
mod cli;
mod command;
mod daemon;
mod failure;
mod output;
mod places;
mod terminal;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::command::Session;

fn main() -> ExitCode {
    // No verb for people, and so not a part of the command line that help and completion show.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|verb| verb == kinglet_host::kvm::VERB)
    {
        return ExitCode::from(kinglet_host::kvm::child_main());
    }
    let cli = Cli::parse();
    let out = output::Output::new(&cli.global);
    let failures = out.clone();
    match cli.command.run(&Session::new(cli.global, out)) {
        Ok(code) => code,
        Err(failure) => {
            failures.failure(&failure);
            failure.exit_code()
        }
    }
}
