//! A `.swap` unit and the link that enables it (systemd.swap(5), systemd-escape(1)).

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::{BootEntry, BootError};
use crate::atomic;
use crate::folder::Folder;
use crate::swap::Slot;

/// Where units of this host's own lie, under its root.
pub(super) const UNITS: &str = "etc/systemd/system";
/// Where what starts with all swap is linked from.
pub(super) const WANTS: &str = "etc/systemd/system/swap.target.wants";

/// The entries of these files that are whole: a unit and the link that enables it.
pub(super) fn entries(root: &Path, ours: &[Slot]) -> Result<Vec<BootEntry>, BootError> {
    let mut entries = Vec::new();
    for file in ours {
        let name = unit_name(file.as_str());
        let enabled = root.join(WANTS).join(&name).symlink_metadata().is_ok();
        let path = root.join(UNITS).join(&name);
        match fs::read_to_string(&path) {
            Ok(text) if enabled => entries.push(BootEntry {
                file: file.clone(),
                priority: priority(&text),
            }),
            Err(error) if !is_absent(&error) => {
                return Err(BootError::io("read", &path)(error));
            }
            _ => {}
        }
    }
    Ok(entries)
}

/// Writes the unit and enables it. The unit first: a link to nothing would be an error at boot.
pub(super) fn write(root: &Path, entry: &BootEntry) -> Result<(), BootError> {
    let name = unit_name(entry.file.as_str());
    let path = root.join(UNITS).join(&name);
    let text = unit(entry);
    if fs::read_to_string(&path).is_ok_and(|old| old == text) {
        return enable(root, &name);
    }
    folder(root, UNITS)
        .and_then(|units| atomic::store(&units, &name, text.as_bytes()))
        .map_err(BootError::io("write", &path))?;
    enable(root, &name)
}

fn enable(root: &Path, name: &str) -> Result<(), BootError> {
    let target = PathBuf::from("/").join(UNITS).join(name);
    let path = root.join(WANTS).join(name);
    if fs::read_link(&path).is_ok_and(|old| old == target) {
        return Ok(());
    }
    link(root, name, &target).map_err(BootError::io("create", &path))
}

fn link(root: &Path, name: &str, target: &Path) -> io::Result<()> {
    let wants = folder(root, WANTS)?;
    let temporary = atomic::temporary();
    symlink(target, wants.path().join(&temporary))?;
    wants.replace(&temporary, name)?;
    wants.sync()
}

/// Removes the units of these files, but for one. The link first, for the same reason.
pub(super) fn remove(root: &Path, ours: &[Slot], kept: Option<&Slot>) -> Result<(), BootError> {
    for file in ours.iter().filter(|file| Some(*file) != kept) {
        let name = unit_name(file.as_str());
        for place in [WANTS, UNITS] {
            let path = root.join(place).join(&name);
            take(&root.join(place), &name).map_err(BootError::io("remove", &path))?;
        }
    }
    Ok(())
}

fn take(place: &Path, name: &str) -> io::Result<()> {
    match Folder::open(place) {
        Ok(folder) if folder.remove(name)? => folder.sync(),
        Err(error) if !is_absent(&error) => Err(error),
        _ => Ok(()),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn folder(root: &Path, place: &str) -> io::Result<Folder> {
    fs::create_dir_all(root.join(place))?;
    Folder::open(&root.join(place))
}

fn unit(entry: &BootEntry) -> String {
    // `%` begins a specifier there.
    let what = entry.file.as_str().replace('%', "%%");
    let priority = entry
        .priority
        .map_or_else(String::new, |priority| format!("Priority={priority}\n"));
    format!(
        "# Written by Kinglet, which removes it again when its swap file is switched off.\n\
         [Unit]\nDescription=Swap file of Kinglet\n\n\
         [Swap]\nWhat={what}\n{priority}\n\
         [Install]\nWantedBy=swap.target\n"
    )
}

fn priority(text: &str) -> Option<u16> {
    text.lines()
        .find_map(|line| line.strip_prefix("Priority=")?.trim().parse().ok())
}

/// `systemd-escape --path --suffix=swap`.
pub(super) fn unit_name(path: &str) -> String {
    let mut name = String::new();
    for (index, byte) in path.trim_matches('/').bytes().enumerate() {
        match byte {
            b'/' => name.push('-'),
            b'.' if index > 0 => name.push('.'),
            b':' | b'_' => name.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => name.push(char::from(byte)),
            _ => name.push_str(&format!("\\x{byte:02x}")),
        }
    }
    name + ".swap"
}
