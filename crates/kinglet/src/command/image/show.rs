//! `kinglet image show`.

use clap::Args;
use jiff::Timestamp;
use kinglet_model::Image;
use kinglet_model::image::PartitionTable;

use super::{Named, Session, format, phase};
use crate::failure::Outcome;
use crate::output::fields::Fields;
use crate::output::time::ago;

/// Show everything that is known of an image
#[derive(Debug, Args)]
pub struct Show {
    #[command(flatten)]
    named: Named,
}

impl Show {
    /// Shows.
    pub async fn run(self, session: &Session) -> Outcome {
        let image = session.client()?.image(&self.named.image).await?;
        session
            .out
            .result(&image, || describe(&image, Timestamp::now()))
    }
}

fn describe(image: &Image, now: Timestamp) -> String {
    let status = &image.status;
    let mut fields = Fields::default();
    fields
        .add("Name", &image.metadata.name)
        .add("Id", image.metadata.id)
        .add("Phase", phase(image))
        .add_some("Reason", status.reason.as_ref())
        .add("File", format!("{}/{}", image.spec.folder, image.spec.path))
        .add("Format", format(image))
        .add_some("Disk size", status.virtual_size)
        .add_some("Partitions", status.partitions.map(partitions))
        .add(
            "File size",
            format!("{} ({} on disk)", status.file_size, status.allocated),
        )
        .add_some("SHA-256", status.sha256)
        .add("First seen", ago(image.metadata.created, now))
        .add_each(
            "Used by",
            status
                .users
                .iter()
                .map(|user| format!("{} {} as {}", user.kind, user.name, user.role)),
        )
        .add_each(
            "Conditions",
            status
                .conditions
                .iter()
                .map(|condition| format!("{}: {}", condition.name, condition.message)),
        )
        .add_each(
            "Possible now",
            status
                .actions
                .iter()
                .filter(|action| action.allowed)
                .map(|action| action.name.clone()),
        );
    fields.render()
}

const fn partitions(table: PartitionTable) -> &'static str {
    match table {
        PartitionTable::Gpt => "GPT",
        PartitionTable::Mbr => "MBR",
        PartitionTable::None => "none",
    }
}
