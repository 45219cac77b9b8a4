//! `kinglet image refresh`.

use clap::Args;

use super::Session;
use crate::failure::Outcome;
use crate::output::progress::Waiting;

/// Look through the watched folders now
#[derive(Debug, Args)]
pub struct Refresh {}

impl Refresh {
    /// Scans and tells what was found.
    pub async fn run(self, session: &Session) -> Outcome {
        let report = {
            let _waiting = Waiting::new(&session.out, "Looking through the image folders");
            session.client()?.refresh_images().await?
        };
        session.out.result(&report, || {
            let mut text = format!(
                "{} images: {} new, {} changed, {} gone\n",
                report.seen, report.added, report.changed, report.vanished
            );
            if report.unreadable > 0 {
                text.push_str(&format!("{} could not be read\n", report.unreadable));
            }
            text
        })
    }
}
