//! What the tests do inside a guest host: one check a call, named by the first argument. It ends with
//! 0 when everything was as it must be.
//!
//! It is built beside the tests and runs in the host unchanged (see `kinglet_tests::machine`).

mod cryptsetup;

use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match check(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    }
}

fn check(arguments: &[&str]) -> Result<()> {
    match arguments {
        ["cryptsetup"] => cryptsetup::both_ways(),
        _ => bail!("no such check: {arguments:?}"),
    }
}
