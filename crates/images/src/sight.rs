//! Looking at the disk: scans of folders, single places, and whether a file has arrived. Blocking;
//! runs on blocking threads.

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::fstatfs;
use rustix::io::Errno;

use crate::config::Watching;
use crate::folder::{FileStat, Look, Root, is_absent, look, open_file, stat_open};
use crate::kernel::{Writer, writer};
use crate::path::RelPath;
use crate::walk::{Walk, walk};
use crate::watch::{Place, Watcher};

/// Filesystems on which others write without this kernel knowing (`statfs(2)`, and the kernel's
/// `magic.h`): NFS, SMB/CIFS, FUSE (also virtiofs, sshfs), 9p, Ceph, AFS, Coda, Lustre, GFS2, OCFS2.
const FOREIGN: [(u32, &str); 12] = [
    (0x6969, "NFS"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x517b, "SMB"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9p"),
    (0x00c3_6400, "Ceph"),
    (0x5346_414f, "AFS"),
    (0x7375_7245, "Coda"),
    (0x0bd0_0bd0, "Lustre"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
];

/// What a scan of one folder found.
#[derive(Debug)]
pub(crate) struct Scan {
    /// The files, or why the folder cannot be opened.
    pub(crate) walk: Result<Walk, io::Error>,
    /// How the folder is watched from now on.
    pub(crate) watching: Watching,
}

/// Scans a folder. With a watcher, each of its directories is watched before it is listed.
pub(crate) fn scan(root: &Root, folder: usize, watcher: Option<&Watcher>) -> Scan {
    let directory = match root.reopen() {
        Ok(directory) => directory,
        Err(error) => {
            let why = format!(
                "the image folder {} cannot be opened: {error}; make it, mount it, or give access to it",
                root.folder.path.display()
            );
            return Scan {
                walk: Err(error),
                watching: Watching::Unavailable { why },
            };
        }
    };
    if let Some(watcher) = watcher {
        watcher.begin_scan();
    }
    let (walk, obstacle) = tree(&directory, folder, &RelPath::root(), watcher);
    if let Some(watcher) = watcher {
        watcher.end_scan(folder);
    }
    let watching = match obstacle {
        None => Watching::Events,
        Some(why) => Watching::Scans { why },
    };
    Scan {
        walk: Ok(walk),
        watching,
    }
}

/// Walks a part of a folder, and watches it; what kept it from being watched, if anything did.
pub(crate) fn tree(
    root: &OwnedFd,
    folder: usize,
    start: &RelPath,
    watcher: Option<&Watcher>,
) -> (Walk, Option<String>) {
    let mut obstacle = None;
    let walk = walk(root.as_fd(), start, &mut |directory, path| {
        let result = watch(
            directory,
            Place {
                folder,
                path: path.clone(),
            },
            watcher,
        );
        obstacle = obstacle.take().or(result.err());
    });
    (walk, obstacle)
}

fn watch(directory: BorrowedFd<'_>, place: Place, watcher: Option<&Watcher>) -> Result<(), String> {
    let Some(watcher) = watcher else {
        return Err("watching is switched off, or inotify cannot be used".to_owned());
    };
    if let Some(system) = foreign(directory) {
        return Err(format!(
            "it is on {system}, where this host is not told of what other hosts write"
        ));
    }
    watcher
        .add(directory, place)
        .map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::NOSPC) => "the limit of watched directories is reached; raise it with \
             `sysctl fs.inotify.max_user_watches=524288`"
                .to_owned(),
            _ => format!("the kernel cannot watch it: {error}"),
        })
}

fn foreign(directory: BorrowedFd<'_>) -> Option<&'static str> {
    let stat = fstatfs(directory).ok()?;
    // The field is wider than the numbers on some architectures, and signed on others.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let magic = stat.f_type as u32;
    FOREIGN
        .iter()
        .find(|(known, _)| *known == magic)
        .map(|(_, name)| *name)
}

/// Looks at single places.
pub(crate) fn look_at(roots: &[Root], places: Vec<Place>) -> Vec<(Place, Look)> {
    places
        .into_iter()
        .map(|place| {
            let look = match roots.get(place.folder).map(Root::directory) {
                Some(Ok(root)) => look(root.as_fd(), &place.path),
                Some(Err(error)) => Look::Failed(error),
                None => Look::Absent,
            };
            (place, look)
        })
        .collect()
}

/// Whether a file has arrived.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// Nobody writes to it.
    Settled(FileStat),
    /// Somebody has it open for writing.
    Writing(FileStat),
    /// The kernel cannot say; time must.
    Unsure(FileStat),
    /// It cannot be opened.
    Unreadable(io::Error),
    /// It is no longer there.
    Gone,
}

/// Looks whether files have arrived.
pub(crate) fn arrivals(roots: &[Root], places: &[Place]) -> Vec<Arrival> {
    places.iter().map(|place| arrival(roots, place)).collect()
}

fn arrival(roots: &[Root], place: &Place) -> Arrival {
    match try_arrival(roots, place) {
        Ok(arrival) => arrival,
        Err(error) if is_absent(&error) => Arrival::Gone,
        Err(error) => Arrival::Unreadable(error),
    }
}

fn try_arrival(roots: &[Root], place: &Place) -> io::Result<Arrival> {
    let Some(root) = roots.get(place.folder) else {
        return Ok(Arrival::Gone);
    };
    let file = open_file(root.directory()?.as_fd(), &place.path)?;
    // First the writer, then the state: what is written between the two belongs to a writer who
    // came after, and of whom the kernel will tell.
    let writer = writer(&file);
    let Some(stat) = stat_open(file.as_fd())? else {
        return Ok(Arrival::Gone);
    };
    let may_be_elsewhere = foreign(file.as_fd()).is_some();
    Ok(weigh(writer, may_be_elsewhere, stat))
}

/// What the kernel's word on writers is worth: where the writer may be on another host (or behind a
/// FUSE daemon), that there is none here says nothing.
fn weigh(writer: Writer, may_be_elsewhere: bool, stat: FileStat) -> Arrival {
    match writer {
        Writer::Present => Arrival::Writing(stat),
        Writer::None if !may_be_elsewhere => Arrival::Settled(stat),
        Writer::None | Writer::Unknown => Arrival::Unsure(stat),
    }
}

/// The places in a folder that a scan did not meet.
pub(crate) fn unmet<'a>(known: impl Iterator<Item = &'a Place>, walk: &Walk) -> Vec<Place> {
    let met: HashSet<&RelPath> = walk.files.iter().map(|(path, _)| path).collect();
    known
        .filter(|place| !met.contains(&place.path))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fingerprint::Fingerprint;

    #[test]
    fn lease_on_a_foreign_filesystem_does_not_prove_arrival() {
        let stat = FileStat {
            print: Fingerprint::default(),
            allocated: 0,
        };
        let weighed = |writer, elsewhere| weigh(writer, elsewhere, stat);
        assert!(matches!(weighed(Writer::None, true), Arrival::Unsure(_)));
        assert!(matches!(weighed(Writer::Unknown, true), Arrival::Unsure(_)));
        assert!(matches!(
            weighed(Writer::Present, true),
            Arrival::Writing(_)
        ));
        assert!(matches!(weighed(Writer::None, false), Arrival::Settled(_)));
        assert!(matches!(
            weighed(Writer::Unknown, false),
            Arrival::Unsure(_)
        ));
    }
}
