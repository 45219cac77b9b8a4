//! The data folder and the image folders: space, file system, and whether changes are seen.

use std::path::{Path, PathBuf};

use kinglet_model::Size;
use kinglet_model::host::Check;
use rustix::fs::inotify;
use rustix::io::Errno;

use super::{DoctorConfig, limited, no, trial, yes};
use crate::filesystem::{FileSystem, nearest_existing};
use crate::proc;

/// Free space below which an ordinary image does not fit.
const LITTLE_SPACE: Size = Size::gib(5);
/// Free space below which nothing fits.
const NO_SPACE: Size = Size::mib(256);
/// Folders that are counted at most.
const MAX_FOLDERS: usize = 1_000_000;

/// Whether the data folder can be written to and lasts.
pub fn data(config: &DoctorConfig) -> Check {
    const NAME: &str = "data";
    const TITLE: &str = "Data folder";
    let shown = config.data.display();
    let folder = nearest_existing(&config.data);
    let system = match FileSystem::of(&folder) {
        Ok(system) => system,
        Err(error) => {
            let detail = format!("{shown} cannot be looked at ({error})");
            return no(NAME, TITLE, detail, "choose another folder with --data");
        }
    };
    let name = system.name();
    if system.read_only {
        return no(
            NAME,
            TITLE,
            format!("{shown} lies on {name}, which is mounted read-only"),
            "mount it for writing, or choose another folder with --data",
        );
    }
    if let Err(error) = writable(&folder) {
        return no(
            NAME,
            TITLE,
            format!("{shown} cannot be written to ({error})"),
            "choose another folder with --data, or change its owner",
        );
    }
    if system.kind.is_some_and(|kind| kind.volatile) {
        return limited(
            NAME,
            TITLE,
            format!("{shown} lies on {name}: everything is gone after a reboot"),
            "choose a folder on a disk with --data",
        );
    }
    yes(NAME, TITLE, format!("{shown} on {name}"))
}

fn writable(folder: &Path) -> Result<(), Errno> {
    rustix::fs::access(
        folder,
        rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK,
    )
}

/// Whether there is room for images and disks.
pub fn space(config: &DoctorConfig) -> Check {
    const NAME: &str = "space";
    const TITLE: &str = "Free space";
    const REMEDY: &str =
        "delete images that nothing uses, or move the data folder to a larger disk";
    match FileSystem::of(&nearest_existing(&config.data)) {
        Err(error) => no(
            NAME,
            TITLE,
            format!("cannot be told ({error})"),
            "choose another folder with --data",
        ),
        Ok(system) => {
            let what = format!("{} of {}", system.free, system.total);
            if system.free < NO_SPACE {
                no(NAME, TITLE, format!("{what}: nothing fits"), REMEDY)
            } else if system.free < LITTLE_SPACE {
                limited(NAME, TITLE, format!("{what}: few images fit"), REMEDY)
            } else {
                yes(NAME, TITLE, what)
            }
        }
    }
}

/// Whether copies can share blocks.
pub fn reflink(config: &DoctorConfig) -> Check {
    const NAME: &str = "reflink";
    const TITLE: &str = "Copies that share blocks (reflink)";
    const REMEDY: &str = "put the data folder on XFS (with reflink=1) or Btrfs";
    match trial::reflink(&nearest_existing(&config.data)) {
        Ok(true) => yes(NAME, TITLE, "a file was cloned"),
        Ok(false) => limited(
            NAME,
            TITLE,
            "the data folder's file system copies every byte; overlays are not affected",
            REMEDY,
        ),
        Err(error) => limited(NAME, TITLE, format!("could not be tried ({error})"), REMEDY),
    }
}

/// Whether the kernel tells that somebody still writes a file.
pub fn leases(config: &DoctorConfig) -> Check {
    const NAME: &str = "leases";
    const TITLE: &str = "Knowing when a copy is complete (leases)";
    const REMEDY: &str = "put the image folders on a local file system, and set fs.leases-enable=1";
    let unknown: Vec<String> = image_folders(config)
        .iter()
        .filter_map(|folder| match trial::lease(folder) {
            Ok(true) => None,
            Ok(false) => Some(format!("{} has none", folder.display())),
            Err(error) => Some(format!("{} could not be tried ({error})", folder.display())),
        })
        .collect();
    if unknown.is_empty() {
        yes(NAME, TITLE, "the kernel tells whether a file has a writer")
    } else {
        let detail = format!(
            "{}; an image counts as complete once it has been quiet for a while",
            unknown.join(", ")
        );
        limited(NAME, TITLE, detail, REMEDY)
    }
}

/// Whether changes in the image folders are seen at once.
pub fn inotify(config: &DoctorConfig) -> Check {
    const NAME: &str = "inotify";
    const TITLE: &str = "Seeing new images at once (inotify)";
    let folders = image_folders(config);
    let seconds = config.scan_interval.as_secs();
    for folder in &folders {
        let Ok(system) = FileSystem::of(folder) else {
            continue;
        };
        if system.changes_unseen() {
            return limited(
                NAME,
                TITLE,
                format!(
                    "{} lies on {}, where inotify sees only local changes; it is scanned every \
                     {seconds} s",
                    folder.display(),
                    system.name()
                ),
                "nothing to do, or put the images on a local disk",
            );
        }
    }
    if let Err(error) = watch(&folders) {
        return limited(
            NAME,
            TITLE,
            format!("no folder can be watched ({error}); they are scanned every {seconds} s"),
            "sysctl fs.inotify.max_user_instances=1024 fs.inotify.max_user_watches=524288",
        );
    }
    // A folder that does not exist yet is one that will.
    let count: usize = config
        .image_folders
        .iter()
        .map(|folder| count_folders(folder))
        .sum();
    let limit = watch_limit();
    if count > limit {
        return limited(
            NAME,
            TITLE,
            format!(
                "there are {count} folders, but only {limit} watches; the rest is scanned every \
                 {seconds} s"
            ),
            format!(
                "sysctl fs.inotify.max_user_watches={}",
                count.saturating_mul(2)
            ),
        );
    }
    let noun = if count == 1 { "folder" } else { "folders" };
    yes(
        NAME,
        TITLE,
        format!("{count} {noun}, {limit} watches possible"),
    )
}

fn image_folders(config: &DoctorConfig) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = config
        .image_folders
        .iter()
        .map(|folder| nearest_existing(folder))
        .collect();
    folders.sort();
    folders.dedup();
    folders
}

fn watch(folders: &[PathBuf]) -> Result<(), Errno> {
    let instance = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    for folder in folders {
        inotify::add_watch(&instance, folder, inotify::WatchFlags::CLOSE_WRITE)?;
    }
    Ok(())
}

fn watch_limit() -> usize {
    proc::read("/proc/sys/fs/inotify/max_user_watches")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(8192)
}

/// The folder and those in it, at any depth; links are not followed.
fn count_folders(folder: &Path) -> usize {
    let mut count = 0;
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        count += 1;
        if count >= MAX_FOLDERS {
            break;
        }
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        left.extend(
            entries
                .flatten()
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_counted_without_following_links() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        std::fs::write(root.path().join("a/file"), "").unwrap();
        std::os::unix::fs::symlink(root.path(), root.path().join("a/loop")).unwrap();
        assert_eq!(count_folders(root.path()), 3);
        assert_eq!(count_folders(&root.path().join("none")), 1);
    }
}
