//! `kinglet image rm`.

use clap::Args;

use super::{Named, Session};
use crate::command::confirm::Confirm;
use crate::failure::Outcome;

/// Delete an image: its file, for good
#[derive(Debug, Args)]
#[command(visible_alias = "delete")]
pub struct Rm {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    confirm: Confirm,
}

impl Rm {
    /// Deletes what was looked at, and nothing that took its place since.
    pub async fn run(self, session: &Session) -> Outcome {
        let client = session.client()?;
        let image = client.image(&self.named.image).await?;
        let question = format!(
            "Delete {}/{} ({})?",
            image.spec.folder, image.spec.path, image.status.file_size
        );
        if !self
            .confirm
            .ask(&question, &image.status.actions, "delete")?
        {
            session.out.note("Nothing was deleted.");
            return Ok(());
        }
        let id = image.metadata.id.to_string();
        client
            .delete_image(&id, Some(image.metadata.revision))
            .await?;
        session
            .out
            .note(&format!("Deleted image {}.", image.metadata.name));
        Ok(())
    }
}
