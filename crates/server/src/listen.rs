//! Where the server listens: the unix socket of its owner, and TCP.

use std::fs::{DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::config::ServerConfig;
use crate::error::ServeError;

/// The file of our unix socket, known by its inode: another daemon's is never removed.
pub struct SocketFile {
    path: PathBuf,
    inode: Option<(u64, u64)>,
}

impl SocketFile {
    /// Listens at the path. A socket that nobody answers at is left from a daemon that was killed,
    /// and is replaced.
    ///
    /// # Errors
    /// When another daemon answers, something else is in the way, or the system refuses.
    pub async fn bind(path: &Path) -> Result<(UnixListener, Self), ServeError> {
        let failed = |why| ServeError::Socket {
            path: path.to_owned(),
            why,
        };
        make_folder(path).map_err(failed)?;
        clear_way(path).await?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        // Whoever came in before this line is in the folder, and so the owner.
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok((
            listener,
            Self {
                path: path.to_owned(),
                inode: inode(path),
            },
        ))
    }

    /// Removes the file, if it is still ours.
    pub fn remove(self) {
        if self.inode.is_some() && self.inode == inode(&self.path) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn make_folder(path: &Path) -> io::Result<()> {
    match path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
    {
        Some(folder) => DirBuilder::new().recursive(true).mode(0o700).create(folder),
        None => Ok(()),
    }
}

async fn clear_way(path: &Path) -> Result<(), ServeError> {
    let failed = |why| ServeError::Socket {
        path: path.to_owned(),
        why,
    };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ServeError::InTheWay(path.to_owned()));
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(failed)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(_) => Err(ServeError::AlreadyRunning(path.to_owned())),
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    std::fs::symlink_metadata(path)
        .ok()
        .map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Listens at the configured TCP address.
///
/// # Errors
/// When others could reach it and that is not allowed, or it is taken.
pub async fn tcp(config: &ServerConfig) -> Result<Option<TcpListener>, ServeError> {
    let Some(address) = config.listen else {
        return Ok(None);
    };
    if !address.ip().is_loopback() && !config.allow_remote {
        return Err(ServeError::Remote(address));
    }
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "another program listens there; choose another port with --listen".to_owned()
            }
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 are for root; choose another with --listen".to_owned()
            }
            _ => error.to_string(),
        };
        ServeError::Listen { address, why }
    })?;
    Ok(Some(listener))
}
