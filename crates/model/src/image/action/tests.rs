//! The whole table of actions, and the rules beside it.

use super::*;
use crate::image::{Compression, ConvertOptions, ImageUser, UrlOrigin, WorkSource};
use crate::{Id, Name};

fn status(phase: ImagePhase) -> ImageStatus {
    ImageStatus {
        phase,
        format: Some(Format::Qcow2),
        ..ImageStatus::default()
    }
}

#[test]
fn an_image_that_is_not_ready_gives_no_vm_and_no_media() {
    for phase in ImagePhase::ALL {
        for format in [Format::Raw, Format::Iso, Format::Kernel, Format::Initramfs] {
            let image = ImageStatus {
                format: Some(format),
                ..status(phase)
            };
            let uses = [
                ImageAction::CreateVm,
                ImageAction::AttachDisk,
                ImageAction::InsertMedia,
                ImageAction::BootKernel,
                ImageAction::BootInitrd,
            ];
            let any = uses.iter().any(|action| action.verdict(&image).is_ok());
            assert_eq!(any, phase == ImagePhase::Ready, "{phase} {format}");
        }
    }
}

#[test]
fn an_upload_can_be_cancelled_and_nothing_else() {
    for action in ImageAction::ALL {
        let verdict = action.verdict(&status(ImagePhase::Uploading));
        assert_eq!(verdict.is_ok(), action == ImageAction::Cancel, "{action:?}");
    }
}

/// The table by phase alone: an image of which nothing else stands in the way of anything.
const TABLE: &str = "\
arriving: -
uploading: cancel
downloading: pause cancel
converting: cancel
encrypting: pause cancel
decrypting: pause cancel
exporting: cancel
checking: delete purge
ready: create-vm attach-disk download convert encrypt check rename delete purge
damaged: check rename delete purge
unreadable: check rename delete purge
failed: retry delete purge
trashed: restore purge
missing: -
";

fn origin(phase: ImagePhase) -> Option<Origin> {
    let source = || WorkSource {
        id: Id::generate(),
        name: "source".parse().unwrap(),
    };
    let options = || ConvertOptions {
        format: Format::Raw,
        compression: None,
        encrypted: false,
    };
    match phase {
        ImagePhase::Downloading => Some(Origin::Url(UrlOrigin::default())),
        ImagePhase::Converting => Some(Origin::Convert {
            source: source(),
            options: options(),
        }),
        ImagePhase::Encrypting => Some(Origin::Encrypt {
            source: source(),
            remove_source: false,
        }),
        ImagePhase::Decrypting => Some(Origin::Decrypt { source: source() }),
        ImagePhase::Exporting => Some(Origin::Export {
            source: source(),
            disk: "root".to_owned(),
            options: options(),
        }),
        _ => None,
    }
}

#[test]
fn action_table_is_as_written() {
    let mut table = String::new();
    for phase in ImagePhase::ALL {
        let image = ImageStatus {
            origin: origin(phase).map(Box::new),
            ..status(phase)
        };
        let allowed: Vec<&str> = ImageAction::ALL
            .into_iter()
            .filter(|action| action.verdict(&image).is_ok())
            .map(ImageAction::as_str)
            .collect();
        let row = if allowed.is_empty() {
            "-".to_owned()
        } else {
            allowed.join(" ")
        };
        table.push_str(&format!("{phase}: {row}\n"));
    }
    assert_eq!(table, TABLE);
}

#[test]
fn what_is_paused_goes_on_and_is_not_paused_again() {
    let image = ImageStatus {
        origin: origin(ImagePhase::Downloading).map(Box::new),
        conditions: vec![crate::Condition::new(PAUSED, "Paused.")],
        ..status(ImagePhase::Downloading)
    };
    assert_eq!(ImageAction::Resume.verdict(&image), Ok(()));
    assert!(ImageAction::Pause.verdict(&image).is_err());
}

#[test]
fn every_refusal_has_a_reason() {
    for phase in ImagePhase::ALL {
        for action in ImageAction::ALL {
            if let Err(reason) = action.verdict(&status(phase)) {
                assert!(!reason.is_empty());
                assert!(!action.refusal_code(&status(phase)).is_empty());
            }
        }
    }
}

#[test]
fn delete_is_refused_while_used_and_names_the_user() {
    let mut image = status(ImagePhase::Ready);
    assert_eq!(ImageAction::Delete.verdict(&image), Ok(()));
    let name: Name = "web-1".parse().unwrap();
    image.users.push(ImageUser {
        kind: "Vm".into(),
        id: Id::generate(),
        name,
        role: "disk".into(),
    });
    assert!(
        ImageAction::Delete
            .verdict(&image)
            .unwrap_err()
            .contains("web-1")
    );
    assert_eq!(ImageAction::Delete.refusal_code(&image), "image-in-use");
}

#[test]
fn a_compressed_disk_says_how_to_unpack_it() {
    let image = ImageStatus {
        compression: Some(Compression::Xz),
        ..status(ImagePhase::Ready)
    };
    assert!(
        ImageAction::CreateVm
            .verdict(&image)
            .unwrap_err()
            .contains("xz -d")
    );
}
