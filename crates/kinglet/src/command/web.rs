//! `kinglet web`: the page's address with a token that signs one browser in.

use clap::Args;

use super::Session;
use crate::failure::{Failure, Outcome};

/// Print the page's address with a token that signs one browser in, once
#[derive(Debug, Args)]
pub struct Web {}

impl Web {
    /// Makes the token and prints the address.
    pub async fn run(self, session: &Session) -> Outcome {
        let token = session.client()?.create_token().await?;
        if session.out.is_json() {
            return session.out.json(&token);
        }
        let url = token.url.ok_or_else(|| {
            Failure::failed("the daemon has no page: it was started without a TCP address")
        })?;
        session.out.print(&format!("{url}\n"))?;
        session.out.note(&format!(
            "It signs in one browser, within {} seconds.",
            token.expires_in_seconds
        ));
        Ok(())
    }
}
