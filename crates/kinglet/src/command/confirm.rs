//! Asking before something is deleted.

use std::io::{self, BufRead, IsTerminal, Write};

use clap::Args;
use kinglet_model::ActionState;

use crate::failure::{Failure, Outcome};

/// The flag that answers beforehand.
#[derive(Debug, Args)]
pub struct Confirm {
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Confirm {
    /// Asks `question` where somebody is there to answer. What is not possible anyway is not asked:
    /// the daemon says why.
    pub fn ask(&self, question: &str, actions: &[ActionState], action: &str) -> Outcome<bool> {
        let possible = actions
            .iter()
            .any(|state| state.name == action && state.allowed);
        if self.yes || !possible {
            return Ok(true);
        }
        if !io::stdin().is_terminal() {
            return Err(Failure::usage(
                "nobody is there to confirm it; say --yes if it is meant",
            ));
        }
        let mut screen = io::stderr();
        write!(screen, "{question} [y/N] ")?;
        screen.flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
    }
}
