//! `kinglet image cancel`.

use clap::Args;

use super::{Named, Session};
use crate::failure::Outcome;

/// Give up an unfinished upload: what has come of it is thrown away
#[derive(Debug, Args)]
pub struct Cancel {
    #[command(flatten)]
    named: Named,
}

impl Cancel {
    /// Cancels the upload; refused where the image is not being uploaded.
    pub async fn run(self, session: &Session) -> Outcome {
        let client = session.client()?;
        let image = client.image(&self.named.image).await?;
        client.cancel_upload(image.metadata.id).await?;
        session
            .out
            .note(&format!("Cancelled the upload of {}.", image.spec.path));
        Ok(())
    }
}
