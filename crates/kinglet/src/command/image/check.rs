//! `kinglet image check`.

use clap::Args;
use kinglet_model::image::ImagePhase;

use super::{Named, Session, phase};
use crate::failure::{Failure, Outcome};
use crate::output::progress::Waiting;
use crate::watch;

/// Check again that an image is whole, and hash it again
#[derive(Debug, Args)]
pub struct Check {
    #[command(flatten)]
    named: Named,
    /// Return at once instead of waiting for the result
    #[arg(long)]
    no_wait: bool,
}

impl Check {
    /// Has it checked; fails where it turns out damaged.
    pub async fn run(self, session: &Session) -> Outcome {
        let client = session.client()?;
        let mut image = client.check_image(&self.named.image, None).await?;
        if !self.no_wait {
            let waiting = Waiting::new(&session.out, &format!("Checking {}", image.metadata.name));
            image = watch::image(&client, image, &waiting, |image| {
                !image.status.phase.is_on_its_way()
                    && (image.status.phase != ImagePhase::Ready || image.status.sha256.is_some())
            })
            .await?;
        }
        session.out.result(&image, || {
            format!("{}: {}\n", image.metadata.name, phase(&image))
        })?;
        match image.status.phase {
            phase if phase != ImagePhase::Ready && !phase.is_on_its_way() => {
                Err(Failure::failed(format!(
                    "image {} is {}: {}",
                    image.metadata.name,
                    image.status.phase,
                    image.status.reason.as_deref().unwrap_or("no reason given")
                )))
            }
            _ => Ok(()),
        }
    }
}
