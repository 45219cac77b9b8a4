//! Where things are when nothing is said: the data folder and the socket.

use std::path::{Path, PathBuf};

/// The address of the page when nothing is said.
pub const LISTEN: &str = "127.0.0.1:7480";

/// What of the environment decides where things are.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    root: bool,
    home: Option<PathBuf>,
    data_home: Option<PathBuf>,
    runtime: Option<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    pub fn here() -> Self {
        let folder = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|path| path.is_absolute())
        };
        Self {
            root: rustix::process::geteuid().is_root(),
            home: folder("HOME"),
            data_home: folder("XDG_DATA_HOME"),
            runtime: folder("XDG_RUNTIME_DIR"),
        }
    }

    /// The data folder. `None`: it has to be said.
    pub fn data(&self) -> Option<PathBuf> {
        if self.root {
            return Some(PathBuf::from("/var/lib/kinglet"));
        }
        self.data_home
            .clone()
            .or_else(|| Some(self.home.as_ref()?.join(".local/share")))
            .map(|folder| folder.join("kinglet"))
    }

    /// The socket. Without a runtime folder it lies with the data of its user, which nobody else can
    /// enter; `/tmp` would let others put theirs there first.
    pub fn socket(&self) -> Option<PathBuf> {
        if let Some(runtime) = &self.runtime {
            return Some(runtime.join("kinglet/kinglet.sock"));
        }
        if self.root {
            return Some(Path::new("/run/kinglet/kinglet.sock").to_owned());
        }
        self.data().map(|data| data.join("kinglet.sock"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_users_have_places_of_their_own() {
        let root = Surroundings {
            root: true,
            ..Surroundings::default()
        };
        assert_eq!(root.data().unwrap(), Path::new("/var/lib/kinglet"));
        assert_eq!(
            root.socket().unwrap(),
            Path::new("/run/kinglet/kinglet.sock")
        );
        let user = Surroundings {
            home: Some("/home/ada".into()),
            ..Surroundings::default()
        };
        assert_eq!(
            user.data().unwrap(),
            Path::new("/home/ada/.local/share/kinglet")
        );
        assert_eq!(
            user.socket().unwrap(),
            Path::new("/home/ada/.local/share/kinglet/kinglet.sock")
        );
        let session = Surroundings {
            runtime: Some("/run/user/1000".into()),
            ..user
        };
        assert_eq!(
            session.socket().unwrap(),
            Path::new("/run/user/1000/kinglet/kinglet.sock")
        );
        assert_eq!(Surroundings::default().data(), None);
    }
}
