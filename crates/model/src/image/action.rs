//! What may be done with an image: one table, `phase × action → verdict`, and the rules that look at
//! more than the phase. The only place that decides it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Format, ImagePhase, ImageStatus, LuksVersion, Origin};

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
    /// Read its file through the API.
    Download,
    /// Write it as a new image in another format.
    Convert,
    /// Write it as a new, encrypted image.
    Encrypt,
    /// Write it as a new image that is not encrypted.
    Decrypt,
    /// Add, change or remove the keys that open it; back up its header.
    ManageKeys,
    /// Check again that it is whole, and hash it again.
    Check,
    /// Interrupt its making, to go on later.
    Pause,
    /// Go on with its making.
    Resume,
    /// Try once more to make it.
    Retry,
    /// Give its making up: what there is of it is thrown away.
    Cancel,
    /// Give it another name, and its file too.
    Rename,
    /// Put its file in the trash, from where it is deleted after a while.
    Delete,
    /// Take it out of the trash.
    Restore,
    /// Delete its file for good, now.
    Purge,
}

impl ImageAction {
    /// Every action, in the order in which they are offered.
    pub const ALL: [Self; 19] = [
        Self::CreateVm,
        Self::AttachDisk,
        Self::InsertMedia,
        Self::BootKernel,
        Self::BootInitrd,
        Self::Download,
        Self::Convert,
        Self::Encrypt,
        Self::Decrypt,
        Self::ManageKeys,
        Self::Check,
        Self::Pause,
        Self::Resume,
        Self::Retry,
        Self::Cancel,
        Self::Rename,
        Self::Delete,
        Self::Restore,
        Self::Purge,
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
            Self::Download => "download",
            Self::Convert => "convert",
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::ManageKeys => "manage-keys",
            Self::Check => "check",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Retry => "retry",
            Self::Cancel => "cancel",
            Self::Rename => "rename",
            Self::Delete => "delete",
            Self::Restore => "restore",
            Self::Purge => "purge",
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
            Self::Download => "download",
            Self::Convert => "convert",
            Self::Encrypt => "encrypt",
            Self::Decrypt => "decrypt",
            Self::ManageKeys => "change the keys of",
            Self::Check => "check",
            Self::Pause => "pause the making of",
            Self::Resume => "go on with the making of",
            Self::Retry => "try again to make",
            Self::Cancel => "cancel the making of",
            Self::Rename => "rename",
            Self::Delete => "delete",
            Self::Restore => "restore",
            Self::Purge => "delete for good",
        }
    }

    /// The verdict: possible now, or why not.
    pub fn verdict(self, image: &ImageStatus) -> Result<(), String> {
        self.phase_verdict(image)?;
        match self {
            Self::Check | Self::Cancel | Self::Retry | Self::Restore | Self::Download => Ok(()),
            Self::Pause => pausable(image).and_then(|()| match has(image, PAUSED) {
                true => Err("it is paused already".to_owned()),
                false => Ok(()),
            }),
            Self::Resume => pausable(image).and_then(|()| match has(image, PAUSED) {
                true => Ok(()),
                false => Err("it is not paused".to_owned()),
            }),
            Self::Rename | Self::Delete | Self::Purge => no_users(image),
            Self::Convert => unpacked(image).and_then(|()| {
                is(
                    image,
                    |format| (format.is_disk() && !is_file_system(format)) || is_container(format),
                    "it is not a disk",
                )
            }),
            Self::Encrypt => unpacked(image).and_then(|()| match image.encryption {
                Some(_) => Err("it is encrypted already".to_owned()),
                None => is(image, Format::is_disk, "it is not a disk"),
            }),
            Self::Decrypt => is(image, is_container, "it is not encrypted"),
            Self::ManageKeys => match image.encryption.as_ref().map(|found| found.version) {
                None => Err("it is not encrypted".to_owned()),
                Some(LuksVersion::Luks1) => Err(
                    "it is a LUKS1 container, whose keys are only read; decrypt it, then encrypt it again"
                        .to_owned(),
                ),
                Some(LuksVersion::Luks2) => Ok(()),
            },
            Self::CreateVm | Self::AttachDisk => unpacked(image).and_then(|()| {
                is(
                    image,
                    Format::is_disk,
                    match image.format {
                        Some(Format::Iso) if self == Self::CreateVm => {
                            "it is a disc; make a VM with it as its media instead"
                        }
                        Some(Format::Luks) => "it is encrypted; decrypt it first",
                        _ => "it is not a disk",
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
            (_, Self::Pause) => "image-not-pausable",
            (_, Self::Resume) => "image-not-paused",
            (Err(_), Self::Cancel) => "image-not-in-the-making",
            (Err(_), Self::Retry) => "image-not-failed",
            (Err(_), Self::Restore) => "image-not-in-trash",
            (Err(_), Self::Check) => "image-busy",
            (Err(_), _) => "image-not-ready",
            (Ok(()), Self::Delete | Self::Purge | Self::Rename) => "image-in-use",
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
            (phase, Self::Pause | Self::Resume) if phase.is_making() => Ok(()),
            (P::Ready | P::Damaged | P::Unreadable, Self::Pause | Self::Resume) => {
                Err("nothing is being done with it that could be interrupted".to_owned())
            }
            (phase, Self::Cancel) if phase.is_making() => Ok(()),
            (phase, Self::Cancel) if phase != P::Trashed => Err("it is not being made".to_owned()),
            (P::Failed, Self::Retry | Self::Delete | Self::Purge) => Ok(()),
            (P::Trashed, Self::Restore | Self::Purge) => Ok(()),
            (P::Trashed, _) => Err("it is in the trash; restore it first".to_owned()),
            (_, Self::Restore) => Err("it is not in the trash".to_owned()),
            (P::Failed, _) => because("it could not be made"),
            (_, Self::Retry) => Err("its making has not failed".to_owned()),
            (phase, _) if phase.is_making() => {
                let doing = phase.doing().unwrap_or("made");
                Err(match self {
                    Self::Delete | Self::Purge => {
                        format!("it is still being {doing}; cancel that instead")
                    }
                    _ => format!("it is still being {doing}"),
                })
            }
            (P::Ready, _)
            | (
                P::Damaged | P::Unreadable,
                Self::Check | Self::Delete | Self::Purge | Self::Rename,
            ) => Ok(()),
            (P::Arriving, Self::Delete | Self::Purge) => {
                Err("it is still arriving; stop the copy, then delete it".to_owned())
            }
            (P::Arriving, _) => Err("it is still arriving".to_owned()),
            (P::Checking, Self::Delete | Self::Purge) => Ok(()),
            (P::Checking, _) => Err("it is still being checked".to_owned()),
            (P::Damaged, _) => because("it is damaged"),
            (P::Unreadable, _) => because("it cannot be read"),
            (P::Missing, _) => Err("its file is gone".to_owned()),
            (_, _) => Err(format!("it is {}", image.phase)),
        }
    }
}

/// The condition of an image whose making was interrupted, by a person or because a key is wanted.
pub const PAUSED: &str = "paused";

fn has(image: &ImageStatus, condition: &str) -> bool {
    image.conditions.iter().any(|found| found.name == condition)
}

/// An upload is paused by who sends it.
fn pausable(image: &ImageStatus) -> Result<(), String> {
    match (image.origin.as_deref(), image.phase) {
        (_, ImagePhase::Uploading) => Err("its bytes come when its sender sends them".to_owned()),
        (Some(Origin::Url(_) | Origin::Encrypt { .. } | Origin::Decrypt { .. }), _) => Ok(()),
        (Some(Origin::Convert { .. } | Origin::Export { .. }), _) if has(image, PAUSED) => Ok(()),
        _ => Err("it can only be cancelled".to_owned()),
    }
}

const fn is_container(format: Format) -> bool {
    matches!(format, Format::Luks)
}

const fn is_file_system(format: Format) -> bool {
    matches!(format, Format::Erofs | Format::Squashfs)
}

fn no_users(image: &ImageStatus) -> Result<(), String> {
    let mut names: Vec<String> = image
        .users
        .iter()
        .map(|user| match user.kind.as_str() {
            "Vm" => format!("VM {}", user.name),
            "Image" => format!("image {}, which is made from it,", user.name),
            other => format!("{other} {}", user.name),
        })
        .collect();
    names.dedup();
    match names.as_slice() {
        [] => Ok(()),
        [one] if one.starts_with("VM") => Err(format!("{one} needs it; delete that VM first")),
        [one] => Err(format!("{one} needs it")),
        many => Err(format!("{} need it; delete them first", many.join(", "))),
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

#[cfg(test)]
mod tests;
