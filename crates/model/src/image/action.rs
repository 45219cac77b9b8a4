//! What may be done with an image: one table, `phase × action → verdict`, and the rules that look at
//! more than the phase. The only place that decides it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Format, ImagePhase, ImageStatus};

/// Something that can be done with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ImageAction {
    /// Make a VM whose first disk is a copy-on-write overlay of it.
    CreateVm,
    /// Give it to a VM as a further, read-only disk.
    AttachDisk,
    /// Put it in a VM's CD-ROM drive.
    InsertMedia,
    /// Boot a VM with it as kernel.
    BootKernel,
    /// Boot a VM with it as initial RAM file system.
    BootInitrd,
    /// Check again that it is whole, and hash it again.
    Check,
    /// Give up its upload: what has come of it is thrown away.
    CancelUpload,
    /// Delete the file.
    Delete,
}

impl ImageAction {
    /// Every action, in the order in which they are offered.
    pub const ALL: [Self; 8] = [
        Self::CreateVm,
        Self::AttachDisk,
        Self::InsertMedia,
        Self::BootKernel,
        Self::BootInitrd,
        Self::Check,
        Self::CancelUpload,
        Self::Delete,
    ];

    /// The name used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CreateVm => "create-vm",
            Self::AttachDisk => "attach-disk",
            Self::InsertMedia => "insert-media",
            Self::BootKernel => "boot-kernel",
            Self::BootInitrd => "boot-initrd",
            Self::Check => "check",
            Self::CancelUpload => "cancel-upload",
            Self::Delete => "delete",
        }
    }

    /// What it does, to stand between "Cannot" and "image X".
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            Self::CreateVm => "create a VM from",
            Self::AttachDisk => "attach",
            Self::InsertMedia => "insert",
            Self::BootKernel => "boot the kernel in",
            Self::BootInitrd => "boot with the initramfs in",
            Self::Check => "check",
            Self::CancelUpload => "cancel the upload of",
            Self::Delete => "delete",
        }
    }

    /// The verdict: possible now, or why not.
    pub fn verdict(self, image: &ImageStatus) -> Result<(), String> {
        self.phase_verdict(image)?;
        match self {
            Self::Check | Self::CancelUpload => Ok(()),
            Self::Delete => no_users(image),
            Self::CreateVm | Self::AttachDisk => unpacked(image).and_then(|()| {
                is(
                    image,
                    Format::is_disk,
                    if self == Self::CreateVm && is_iso(image) {
                        "it is a disc; make a VM with it as its media instead"
                    } else {
                        "it is not a disk"
                    },
                )
            }),
            Self::InsertMedia => {
                unpacked(image)?;
                is(
                    image,
                    |format| format == Format::Iso,
                    "it is not an ISO 9660 disc",
                )
            }
            Self::BootKernel => is(
                image,
                |format| format == Format::Kernel,
                "it is not a Linux kernel",
            ),
            Self::BootInitrd => is(
                image,
                |format| format == Format::Initramfs,
                "it is not an initramfs",
            ),
        }
    }

    /// The stable `code` of the problem that says no.
    #[must_use]
    pub fn refusal_code(self, image: &ImageStatus) -> &'static str {
        match (self.phase_verdict(image), self) {
            (Err(_), Self::CancelUpload) => "image-not-uploading",
            (Err(_), Self::Check) => "image-busy",
            (Err(_), _) => "image-not-ready",
            (Ok(()), Self::Delete) => "image-in-use",
            (Ok(()), _) => "image-unsuitable",
        }
    }

    fn phase_verdict(self, image: &ImageStatus) -> Result<(), String> {
        use ImagePhase as P;
        let because = |text: &str| {
            Err(match &image.reason {
                Some(reason) => format!("{text}: {reason}"),
                None => text.to_owned(),
            })
        };
        match (image.phase, self) {
            (P::Uploading, Self::CancelUpload) => Ok(()),
            (P::Uploading, Self::Delete) => {
                Err("it is still being uploaded; cancel the upload instead".to_owned())
            }
            (P::Uploading, _) => Err("it is still being uploaded".to_owned()),
            (_, Self::CancelUpload) => Err("it is not being uploaded".to_owned()),
            (P::Ready, _) | (P::Damaged | P::Unreadable, Self::Check | Self::Delete) => Ok(()),
            (P::Arriving, Self::Delete) => {
                Err("it is still arriving; stop the copy, then delete it".to_owned())
            }
            (P::Arriving, _) => Err("it is still arriving".to_owned()),
            (P::Checking, Self::Delete) => Ok(()),
            (P::Checking, _) => Err("it is still being checked".to_owned()),
            (P::Damaged, _) => because("it is damaged"),
            (P::Unreadable, _) => because("it cannot be read"),
            (P::Missing, _) => Err("its file is gone".to_owned()),
        }
    }
}

fn no_users(image: &ImageStatus) -> Result<(), String> {
    let mut names: Vec<&str> = image.users.iter().map(|user| user.name.as_str()).collect();
    names.dedup();
    match names.as_slice() {
        [] => Ok(()),
        [one] => Err(format!("VM {one} needs it; delete that VM first")),
        [first, rest @ ..] => Err(format!(
            "VMs {first}, {} need it; delete them first",
            rest.join(", ")
        )),
    }
}

fn unpacked(image: &ImageStatus) -> Result<(), String> {
    match image.compression {
        None => Ok(()),
        Some(how) => Err(format!(
            "it is compressed; unpack it first with `{}`",
            how.unpack_command(),
        )),
    }
}

fn is(image: &ImageStatus, wanted: impl Fn(Format) -> bool, otherwise: &str) -> Result<(), String> {
    if image.format.is_some_and(wanted) {
        Ok(())
    } else {
        Err(otherwise.to_owned())
    }
}

fn is_iso(image: &ImageStatus) -> bool {
    image.format == Some(Format::Iso)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{Compression, ImageUser};
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
        for phase in ImagePhase::ALL {
            for action in ImageAction::ALL {
                let verdict = action.verdict(&status(phase));
                if phase == ImagePhase::Uploading && action != ImageAction::CancelUpload {
                    let reason = verdict.clone().unwrap_err();
                    assert!(reason.starts_with("it is still being uploaded"), "{reason}");
                }
                if action == ImageAction::CancelUpload {
                    assert_eq!(verdict.is_ok(), phase == ImagePhase::Uploading, "{phase}");
                }
            }
        }
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
}
