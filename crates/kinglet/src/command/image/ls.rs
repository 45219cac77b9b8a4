//! `kinglet image ls`.

use clap::Args;
use kinglet_client::ListOptions;
use kinglet_model::Image;

use super::{Session, format, phase, tone};
use crate::failure::Outcome;
use crate::output::table::{Cell, Table};

/// List the images
#[derive(Debug, Args)]
#[command(visible_alias = "list")]
pub struct Ls {
    /// Show only these: name~TEXT, phase=PHASE, label.KEY=VALUE, with commas between
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// Order by name, created or size; with - in front the other way round
    #[arg(
        long,
        value_name = "KEY",
        default_value = "name",
        allow_hyphen_values = true
    )]
    sort: String,
}

impl Ls {
    /// Lists.
    pub async fn run(self, session: &Session) -> Outcome {
        let options = ListOptions {
            filter: self.filter,
            sort: Some(self.sort),
            ..ListOptions::default()
        };
        let images = session.client()?.all_images(&options).await?.items;
        session.out.result(&images, || table(&images))?;
        if images.is_empty() && !session.out.is_json() {
            session
                .out
                .note("No images. Copy one into a watched folder: it shows at once.");
        }
        Ok(())
    }
}

fn table(images: &[Image]) -> String {
    let mut table = Table::new(&["NAME", "PHASE", "FORMAT", "DISK", "FILE", "USED BY", "PATH"]);
    for image in images {
        let status = &image.status;
        let users: Vec<&str> = status.users.iter().map(|user| user.name.as_str()).collect();
        table.row([
            Cell::new(image.metadata.name.to_string()),
            Cell::toned(tone(status.phase), phase(image)),
            Cell::new(format(image)),
            Cell::new(
                status
                    .virtual_size
                    .map_or_else(|| "-".to_owned(), |size| size.to_string()),
            ),
            Cell::new(status.file_size.to_string()),
            Cell::new(if users.is_empty() {
                "-".to_owned()
            } else {
                users.join(" ")
            }),
            Cell::new(format!("{}/{}", image.spec.folder, image.spec.path)),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use kinglet_model::image::{Format, ImagePhase};
    use kinglet_model::{Progress, Size};

    use super::*;

    #[test]
    fn the_table_says_what_a_person_looks_for() {
        let mut ready = Image::seen("debian-12".parse().unwrap(), "images", "debian-12.qcow2");
        ready.status.phase = ImagePhase::Ready;
        ready.status.format = Some(Format::Qcow2);
        ready.status.virtual_size = Some(Size::gib(4));
        ready.status.file_size = Size::mib(381);
        let mut checking = Image::seen("win".parse().unwrap(), "images", "win/win.vhdx");
        checking.status.phase = ImagePhase::Checking;
        checking.status.file_size = Size::gib(12);
        checking.status.progress = Some(Progress {
            task: "hashing".to_owned(),
            done: 45,
            total: Some(100),
            rate: None,
        });
        let text = table(&[ready, checking]);
        insta::assert_snapshot!(anstream::adapter::strip_str(&text).to_string());
    }
}
