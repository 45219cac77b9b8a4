//! Unix sockets in a VM's folder. Addressed through a descriptor of the folder, so that a long path
//! to the folder does not meet the 107 bytes of a socket address.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use tokio::net::UnixStream;

use crate::folder::private_folder;

/// The control socket's name.
pub(super) const QMP: &str = "qmp";

/// A listening socket `name` in `folder`, in place of one that an earlier process left there.
pub(super) fn listen(folder: &Path, name: &str) -> io::Result<UnixListener> {
    private_folder(folder)?;
    let folder = File::open(folder)?;
    let path = through(&folder, name);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    UnixListener::bind(path)
}

/// Connects to the socket `name` in `folder`.
///
/// # Errors
/// Where nobody listens there.
pub(super) async fn connect(folder: &Path, name: &str) -> io::Result<UnixStream> {
    let folder = File::open(folder)?;
    UnixStream::connect(through(&folder, name)).await
}

fn through(folder: &File, name: &str) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()))
}
