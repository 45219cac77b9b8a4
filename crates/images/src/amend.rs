//! What an observation makes of an image object. Applied to the object as the registry has it at that
//! moment, so that what others wrote meanwhile (a VM that began to use it) is kept and counts.

use kinglet_disk::probe::{Probe, Wholeness};
use kinglet_model::image::{ImageEvent, ImagePhase};
use kinglet_model::{Condition, Digest, Image, Name, Size};

use crate::folder::FileStat;
use crate::inspect::Reading;
use crate::naming::Names;

/// Words of conditions that this library sets.
pub(crate) mod condition {
    /// The digest is being computed.
    pub(crate) const HASHING: &str = "hashing";
    /// The digest is that of a list beside the file.
    pub(crate) const VERIFIED: &str = "verified";
    /// The digest is not that of a list beside the file.
    pub(crate) const MISMATCH: &str = "mismatch";
    /// The file was overwritten, or another took its place.
    pub(crate) const REPLACED: &str = "replaced";
    /// The file has another name than the image.
    pub(crate) const RENAMED: &str = "renamed";
    /// It is being deleted through the API.
    pub(crate) const DELETING: &str = "deleting";
}

/// What a list of digests says about an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    /// The list's file name, for people.
    pub(crate) list: String,
    /// The digest.
    pub(crate) digest: Digest,
}

/// One change of an image.
#[derive(Debug, Clone)]
pub(crate) enum Amendment {
    /// Its bytes changed or are changing: all that was learned is void.
    Rewritten(FileStat),
    /// Nobody writes to it any more.
    Settled(FileStat),
    /// Only attributes changed.
    Attributes(FileStat),
    /// The file is at another place.
    Moved {
        /// The folder's name.
        folder: String,
        /// Where in it.
        path: String,
        /// The name that goes with it; taken when nobody uses the image.
        name: Name,
    },
    /// The file is no longer there.
    Gone {
        /// What happened, as a sentence.
        why: String,
        /// Whether another file took its place.
        replaced: bool,
    },
    /// The file cannot be read.
    Unreadable(String),
    /// It can be read again, or may have changed unseen: look at it again.
    Recheck {
        /// Whether it has to be read anew, too.
        forget: bool,
    },
    /// It was checked.
    Found {
        /// What it is.
        probe: Probe,
        /// What reading it came to, if it was read.
        reading: Option<Reading>,
        /// What the lists beside it say.
        expected: Vec<Expected>,
        /// Whether it may be ready only after it was read.
        thorough: bool,
    },
    /// Lists of digests beside it changed.
    Sums(Vec<Expected>),
    /// Its upload is whole and its file at its place; the digest, where it is known for certain.
    Uploaded(FileStat, Option<Digest>),
    /// Its upload is whole, but something keeps its file from its place.
    Blocked(String),
}

/// What becomes of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing changed.
    Keep,
    /// It is stored.
    Put,
    /// It is removed.
    Remove,
}

impl Amendment {
    /// Changes the object.
    pub(crate) fn apply(&self, image: &mut Image) -> Fate {
        let before = image.clone();
        match self {
            Self::Rewritten(stat) => rewritten(image, stat),
            Self::Settled(stat) => settled(image, stat),
            Self::Attributes(stat) => set_stat(image, stat),
            Self::Moved { folder, path, name } => moved(image, folder, path, name),
            Self::Gone { why, replaced } => return gone(image, why, *replaced),
            Self::Unreadable(why) => unreadable(image, why),
            Self::Recheck { forget } => recheck(image, *forget),
            Self::Found {
                probe,
                reading,
                expected,
                thorough,
            } => {
                learn(image, probe, reading.as_ref());
                let damage = damage(probe, reading.as_ref());
                judge(image, damage, expected, *thorough);
            }
            Self::Sums(expected) => rejudge(image, expected),
            Self::Uploaded(stat, digest) => uploaded(image, stat, *digest),
            Self::Blocked(why) if image.status.phase == ImagePhase::Uploading => {
                image.status.reason = Some(why.clone());
            }
            Self::Blocked(_) => {}
        }
        if *image == before {
            Fate::Keep
        } else {
            Fate::Put
        }
    }
}

/// Records what the file looks like.
pub(crate) fn set_stat(image: &mut Image, stat: &FileStat) {
    image.status.file_size = Size(stat.print.size);
    image.status.allocated = Size(stat.allocated);
    image.status.modified = stat.print.modified;
    image.status.fingerprint = Some(stat.print.to_string());
}

fn rewritten(image: &mut Image, stat: &FileStat) {
    let phase = image.status.phase;
    if !image.status.users.is_empty()
        && !matches!(phase, ImagePhase::Arriving | ImagePhase::Missing)
    {
        let message = format!("Its file was overwritten while {} uses it.", users(image));
        set_condition(image, condition::REPLACED, message);
    }
    move_on(image, ImageEvent::WriterSeen);
    let status = &mut image.status;
    status.reason = None;
    status.upload = None;
    status.format = None;
    status.compression = None;
    status.virtual_size = None;
    status.partitions = None;
    status.sha256 = None;
    for name in [
        condition::HASHING,
        condition::VERIFIED,
        condition::MISMATCH,
        condition::DELETING,
    ] {
        clear_condition(image, name);
    }
    set_stat(image, stat);
}

fn settled(image: &mut Image, stat: &FileStat) {
    set_stat(image, stat);
    if image.status.phase == ImagePhase::Arriving {
        move_on(image, ImageEvent::Settled);
    }
}

fn uploaded(image: &mut Image, stat: &FileStat, digest: Option<Digest>) {
    if image.status.phase == ImagePhase::Uploading && move_on(image, ImageEvent::Made) {
        image.status.reason = None;
        image.status.sha256 = digest;
        set_stat(image, stat);
    }
}

fn moved(image: &mut Image, folder: &str, path: &str, name: &Name) {
    let from = std::mem::replace(&mut image.spec.path, path.to_owned());
    folder.clone_into(&mut image.spec.folder);
    if image.status.users.is_empty() {
        image.metadata.name = name.clone();
        clear_condition(image, condition::RENAMED);
    } else if from != path && !Names::fits(&image.metadata.name, name) {
        let message = format!(
            "Its file was renamed from {from} to {path}; the image keeps its name because {} uses it.",
            users(image)
        );
        set_condition(image, condition::RENAMED, message);
    }
}

fn gone(image: &mut Image, why: &str, replaced: bool) -> Fate {
    if image.status.users.is_empty() {
        return Fate::Remove;
    }
    if image.status.phase == ImagePhase::Missing {
        return Fate::Keep;
    }
    move_on(image, ImageEvent::Vanished);
    clear_condition(image, condition::HASHING);
    let message = format!(
        "{why} {} still uses it and goes on with what it has open; it may not start again.",
        users(image)
    );
    if replaced {
        set_condition(image, condition::REPLACED, message.clone());
    }
    image.status.reason = Some(message);
    Fate::Put
}

fn unreadable(image: &mut Image, why: &str) {
    if move_on(image, ImageEvent::Unreadable) {
        clear_condition(image, condition::HASHING);
        image.status.reason = Some(why.to_owned());
    }
}

pub(crate) fn recheck(image: &mut Image, forget: bool) {
    if forget {
        image.status.sha256 = None;
        clear_condition(image, condition::VERIFIED);
        clear_condition(image, condition::MISMATCH);
    }
    let phase = image.status.phase;
    if matches!(
        phase,
        ImagePhase::Arriving | ImagePhase::Checking | ImagePhase::Missing
    ) {
        return;
    }
    move_on(image, ImageEvent::CheckRequested);
    image.status.reason = None;
}

fn learn(image: &mut Image, probe: &Probe, reading: Option<&Reading>) {
    let status = &mut image.status;
    status.format = Some(probe.format);
    status.compression = probe.compression;
    status.virtual_size = probe.virtual_size;
    status.partitions = probe.partitions;
    if let Some(reading) = reading {
        status.sha256 = Some(reading.sha256);
    }
}

/// Why the image is not to be used, by what is in it.
fn damage(probe: &Probe, reading: Option<&Reading>) -> Option<String> {
    [
        Some(&probe.wholeness),
        reading.map(|reading| &reading.wholeness),
    ]
    .into_iter()
    .flatten()
    .find_map(|wholeness| match wholeness {
        Wholeness::Whole => None,
        Wholeness::Damaged { reason, remedy } => Some(format!("{reason}; {remedy}")),
    })
}

/// Brings the phase to what was found.
fn judge(image: &mut Image, damage: Option<String>, expected: &[Expected], thorough: bool) {
    if let Some(reason) = damage {
        // Half a stream's digest is of no use to anybody.
        image.status.sha256 = None;
        return fail(image, reason);
    }
    let Some(digest) = image.status.sha256 else {
        set_condition(image, condition::HASHING, "Its SHA-256 is being computed.");
        // Structure does not prove that a compressed stream is whole, nor that the bytes are those
        // that somebody wrote down: only reading does.
        if image.status.compression.is_none() && expected.is_empty() && !thorough {
            pass(image);
        }
        return;
    };
    clear_condition(image, condition::HASHING);
    compare(image, digest, expected);
}

/// Brings the phase to what the lists say, once the digest is known.
fn compare(image: &mut Image, digest: Digest, expected: &[Expected]) {
    if let Some(wrong) = expected.iter().find(|expected| expected.digest != digest) {
        let reason = format!(
            "its SHA-256 is {digest}, but {} says {}; copy it again, or correct the list",
            wrong.list, wrong.digest
        );
        fail(image, reason);
        let message = format!("It is not what {} says.", wrong.list);
        return set_condition(image, condition::MISMATCH, message);
    }
    clear_condition(image, condition::MISMATCH);
    match expected.first() {
        Some(right) => {
            let message = format!("Its SHA-256 is that in {}.", right.list);
            set_condition(image, condition::VERIFIED, message);
        }
        None => clear_condition(image, condition::VERIFIED),
    }
    pass(image);
}

fn rejudge(image: &mut Image, expected: &[Expected]) {
    let was_wrong = has_condition(image, condition::MISMATCH);
    let sound = matches!(image.status.phase, ImagePhase::Ready | ImagePhase::Checking);
    // Damage of another kind is not healed by a list.
    if let Some(digest) = image.status.sha256.filter(|_| sound || was_wrong) {
        if was_wrong && image.status.phase == ImagePhase::Damaged {
            recheck(image, false);
        }
        compare(image, digest, expected);
    }
}

fn pass(image: &mut Image) {
    if image.status.phase == ImagePhase::Checking {
        move_on(image, ImageEvent::CheckPassed);
    }
    image.status.reason = None;
    if image.status.users.is_empty() {
        clear_condition(image, condition::REPLACED);
    }
}

fn fail(image: &mut Image, reason: String) {
    if image.status.phase == ImagePhase::Ready {
        move_on(image, ImageEvent::CheckRequested);
    }
    if image.status.phase == ImagePhase::Checking {
        move_on(image, ImageEvent::CheckFailed);
    }
    clear_condition(image, condition::HASHING);
    clear_condition(image, condition::VERIFIED);
    image.status.reason = Some(reason);
}

/// Applies an event that the table allows; one that it does not is our own mistake, said in the log.
fn move_on(image: &mut Image, event: ImageEvent) -> bool {
    let phase = image.status.phase;
    let moved = image.apply(event);
    if !moved {
        tracing::warn!(id = %image.metadata.id, %phase, ?event, "no such step in an image's life");
    }
    moved
}

/// The users of an image, for a sentence.
fn users(image: &Image) -> String {
    let mut names: Vec<&str> = image
        .status
        .users
        .iter()
        .map(|user| user.name.as_str())
        .collect();
    names.dedup();
    let kind = if names.len() == 1 {
        "VM"
    } else {
        "one of the VMs"
    };
    format!("{kind} {}", names.join(", "))
}

pub(crate) fn has_condition(image: &Image, name: &str) -> bool {
    image
        .status
        .conditions
        .iter()
        .any(|condition| condition.name == name)
}

pub(crate) fn set_condition(image: &mut Image, name: &str, message: impl Into<String>) {
    let new = Condition::new(name, message);
    let conditions = &mut image.status.conditions;
    match conditions
        .iter_mut()
        .find(|condition| condition.name == name)
    {
        Some(old) => *old = new,
        None => conditions.push(new),
    }
}

pub(crate) fn clear_condition(image: &mut Image, name: &str) {
    image
        .status
        .conditions
        .retain(|condition| condition.name != name);
}
