//! Looking at the host: gathers a [`HostView`] and changes nothing.

use std::io;
use std::path::{Path, PathBuf};

use kinglet_model::Size;
use kinglet_model::memory::SwapSpec;
use rustix::fs::Stat;
use rustix::thread::CapabilitySet;

use super::create::{has_holes, is_ours, read_header};
use super::keeper::SwapConfig;
use super::record::Record;
use super::view::{FileSystem, HostView, Kind, OwnFile, Place};
use super::{Refusal, Slot, SwapError, SwapPath};
use crate::atomic::is_file;
use crate::boot::{Boot, BootEntry};
use crate::folder::Folder;
use crate::proc::{self, ActiveSwap};
use crate::sys;

/// Places where no swap file may be, whatever is configured: the kernel's own, what is emptied at
/// boot, and what the boot loader reads.
const NEVER: [&str; 9] = [
    "/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/boot", "/efi", "/etc",
];

/// Sees what is there.
pub(super) fn look(config: &SwapConfig, spec: &SwapSpec) -> Result<HostView, SwapError> {
    let record = Record::new(config.state.clone());
    let recorded = record
        .load()
        .map_err(SwapError::io("read", &record.path()))?;
    let active = active(config)?;
    let place = spec.enabled.then(|| place(config, spec));
    let mut places = recorded.clone();
    places.extend(place.iter().flatten().map(|place| place.path.clone()));
    places.sort();
    places.dedup();
    let page_size = rustix::param::page_size();
    let ours = slots(&places);
    let own: Vec<OwnFile> = ours
        .iter()
        .filter_map(|slot| own_file(slot, &active, page_size).transpose())
        .collect::<Result<_, _>>()?;
    let is_own = |swap: &ActiveSwap| own.iter().any(|own| own.active.as_ref() == Some(swap));
    let others = active.into_iter().filter(|swap| !is_own(swap)).collect();
    let boot = Boot::new(&config.root);
    let memory = memory(config)?;
    Ok(HostView {
        page_size: page_size as u64,
        memory_total: memory.total,
        memory_available: memory.available,
        kernel_has_swap: sys::kernel_has_swap(),
        permitted: permitted(),
        boot_fault: place
            .iter()
            .flatten()
            .find_map(|place| boot_fault(&boot, place)),
        boot_keeps_priority: boot.keeps_priority(),
        place,
        recorded,
        boot: boot
            .entries(&ours)?
            .into_iter()
            .map(|(_, entry)| entry)
            .collect(),
        own,
        others,
    })
}

/// Both names of each place.
pub(super) fn slots(places: &[SwapPath]) -> Vec<Slot> {
    places.iter().flat_map(SwapPath::slots).collect()
}

/// What the kernel swaps to now. No table is no swap.
pub(super) fn active(config: &SwapConfig) -> Result<Vec<ActiveSwap>, SwapError> {
    let path = config.proc.join("swaps");
    match proc::read(&path) {
        Ok(text) => Ok(proc::swaps(&text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(SwapError::io("read", &path)(error)),
    }
}

fn memory(config: &SwapConfig) -> Result<proc::MemInfo, SwapError> {
    let path = config.proc.join("meminfo");
    let text = proc::read(&path).map_err(SwapError::io("read", &path))?;
    let missing = || io::Error::other("it does not tell MemAvailable");
    proc::meminfo(&text)
        .ok_or_else(missing)
        .map_err(SwapError::io("read", &path))
}

fn permitted() -> bool {
    rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}

fn boot_fault(boot: &Boot, place: &Place) -> Option<String> {
    let [file, _] = place.path.slots();
    let entry = BootEntry {
        file,
        priority: None,
    };
    boot.check(&entry).err().map(|error| error.to_string())
}

fn place(config: &SwapConfig, spec: &SwapSpec) -> Result<Place, Refusal> {
    let path = match (&spec.path, &config.default_path) {
        (Some(text), _) => SwapPath::parse(text)?,
        (None, default) => default.clone(),
    };
    let refused = |error: io::Error| Refusal::Folder {
        path: path.folder().to_owned(),
        why: error.to_string(),
    };
    let folder = Folder::open(path.folder()).map_err(refused)?;
    let path = path.in_folder(folder.path())?;
    allowed(config, &folder, &path)?;
    let foreign = foreign(&folder, &path).map_err(refused)?;
    let kind = rustix::fs::fstatfs(folder.fd()).map_err(|error| refused(error.into()))?;
    let space = rustix::fs::fstatvfs(folder.fd()).map_err(|error| refused(error.into()))?;
    // The field is signed, and 32 bits wide on some machines.
    let file_system = FileSystem::of(kind.f_type as u64 & 0xffff_ffff);
    let devices = match file_system {
        FileSystem::Fit(Kind::Btrfs) => sys::btrfs_devices(folder.fd()).map_err(refused)?,
        _ => 1,
    };
    if space.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY) {
        return Err(elsewhere(&path, "its file system is mounted read-only"));
    }
    Ok(Place {
        path,
        file_system,
        free: Size(space.f_bavail.saturating_mul(space.f_frsize)),
        total: Size(space.f_blocks.saturating_mul(space.f_frsize)),
        devices,
        foreign,
    })
}

fn elsewhere(path: &SwapPath, why: impl Into<String>) -> Refusal {
    Refusal::Place {
        path: PathBuf::from(path.as_str()),
        why: why.into(),
    }
}

/// Judged by where the folder really is, so that no link leads out of what is allowed.
fn allowed(config: &SwapConfig, folder: &Folder, path: &SwapPath) -> Result<(), Refusal> {
    let within = |place: &Path| {
        let place = std::fs::canonicalize(place).unwrap_or_else(|_| place.to_owned());
        folder.path().starts_with(place)
    };
    let never = NEVER.iter().map(Path::new);
    let mut forbidden = never.chain(config.forbidden.iter().map(PathBuf::as_path));
    if let Some(place) = forbidden.find(|place| within(place)) {
        let why = format!("nothing of the kind may lie in {}", place.display());
        return Err(elsewhere(path, why));
    }
    if !config.allowed.iter().any(|place| within(place)) {
        return Err(elsewhere(
            path,
            "it lies outside of the folders that are allowed",
        ));
    }
    let me = rustix::process::geteuid().as_raw();
    match folder.stat(".").ok().flatten() {
        Some(stat) if stat.st_mode & 0o002 != 0 => {
            Err(elsewhere(path, "everybody may write in that folder"))
        }
        Some(stat) if stat.st_uid != 0 && stat.st_uid != me => {
            Err(elsewhere(path, "that folder belongs to an ordinary user"))
        }
        _ => Ok(()),
    }
}

fn foreign(folder: &Folder, path: &SwapPath) -> io::Result<Vec<(Slot, String)>> {
    let mut foreign = Vec::new();
    for slot in path.slots() {
        if let Some(stat) = folder.stat(slot.name())?
            && let Some(what) = foreign_kind(folder, &slot, &stat)?
        {
            foreign.push((slot, what));
        }
    }
    Ok(foreign)
}

/// What it is, where it is not ours.
fn foreign_kind(folder: &Folder, slot: &Slot, stat: &Stat) -> io::Result<Option<String>> {
    let kind = match stat.st_mode & 0o170_000 {
        0o040_000 => "a directory",
        0o120_000 => "a symbolic link",
        0o060_000 | 0o020_000 => "a device",
        0o100_000 => return foreign_file(folder, slot, stat),
        _ => "a pipe or socket",
    };
    Ok(Some(kind.to_owned()))
}

fn foreign_file(folder: &Folder, slot: &Slot, stat: &Stat) -> io::Result<Option<String>> {
    let header = read_header(&folder.read(slot.name())?, rustix::param::page_size())?;
    let ours = is_ours(header.as_ref());
    let what = match header {
        _ if ours && is_private(stat) => return Ok(None),
        _ if ours => "a swap file that other users may read or own",
        _ if has_holes(stat) => "a file with holes, on which the kernel cannot swap, and",
        Some(_) => "somebody else's swap file",
        None => "a file",
    };
    Ok(Some(what.to_owned()))
}

/// What is swapped is other processes' memory: the file must be this user's alone, under one name.
pub(super) fn is_private(stat: &Stat) -> bool {
    let me = rustix::process::geteuid().as_raw();
    stat.st_uid == me && stat.st_mode & 0o077 == 0 && stat.st_nlink == 1
}

fn own_file(
    slot: &Slot,
    active: &[ActiveSwap],
    page_size: usize,
) -> Result<Option<OwnFile>, SwapError> {
    let own = || -> io::Result<Option<OwnFile>> {
        let folder = match Folder::open(&slot.folder()) {
            // A disk that is not there now; its place stays recorded.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let Some(stat) = folder
            .stat(slot.name())?
            .filter(|stat| is_file(stat.st_mode))
        else {
            return Ok(None);
        };
        let file = match folder.read(slot.name()) {
            // Taken away since; whoever does that holds the lock, and this is only a look.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let header = read_header(&file, page_size)?;
        if !is_ours(header.as_ref()) || !is_private(&stat) {
            return Ok(None);
        }
        Ok(Some(OwnFile {
            slot: slot.clone(),
            size: Size(u64::try_from(stat.st_size).unwrap_or(0)),
            header,
            holes: has_holes(&stat),
            active: active
                .iter()
                .find(|swap| is_same(swap, slot, &stat))
                .cloned(),
        }))
    };
    own().map_err(SwapError::io("look at", slot.as_path()))
}

/// By identity, since the kernel names a file as it was reached when it was switched on.
fn is_same(swap: &ActiveSwap, slot: &Slot, stat: &Stat) -> bool {
    if swap.path == slot.as_path() {
        return true;
    }
    let other = rustix::fs::stat(&swap.path);
    swap.kind == "file"
        && other.is_ok_and(|other| (other.st_dev, other.st_ino) == (stat.st_dev, stat.st_ino))
}
