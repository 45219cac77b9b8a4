//! The program: `kinglet serve` and every other verb. Thin glue over the libraries; what it prints for
//! programs goes to standard output, everything else to standard error.

mod cli;
mod command;
mod failure;
mod output;
mod places;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::Cli;
use crate::command::Session;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let out = output::Output::new(&cli.global);
    let failures = out.clone();
    match cli.command.run(Session::new(cli.global, out)) {
        Ok(code) => code,
        Err(failure) => {
            failures.failure(&failure);
            failure.exit_code()
        }
    }
}
