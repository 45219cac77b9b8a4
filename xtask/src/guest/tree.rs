//! A guest's files in a folder of ours, with the guest's owners.
//!
//! Root unpacks them with their owners. An ordinary user cannot, so fakeroot notes the owners
//! in a file and feigns them again when the file system is made.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::tool::{run, tool};

/// mmdebstrap's options that keep device nodes out: the guest's kernel makes its own, and an
/// ordinary user could not unpack them.
pub const WITHOUT_DEVICES: [&str; 1] = ["--skip=output/dev"];

/// A folder that stands for a guest's root.
pub struct Tree {
    root: PathBuf,
}

impl Tree {
    /// An empty tree in the new folder `root`.
    pub fn create(root: &Path) -> Result<Self> {
        fs::create_dir_all(root).with_context(|| format!("{} cannot be made", root.display()))?;
        Ok(Self {
            root: root.to_path_buf(),
        })
    }

    /// The content of a tar file in the new folder `root`; all of it, or `members` only.
    pub fn unpack(archive: &Path, root: &Path, members: &[&str]) -> Result<Self> {
        let tree = Self::create(root)?;
        let mut tar = tree.as_owner("tar", Owners::Note)?;
        tar.args(["--extract", "--numeric-owner", "--preserve-permissions"]);
        tar.arg("--file")
            .arg(archive)
            .arg("--directory")
            .arg(root)
            .args(members);
        run(&mut tar)?;
        // The kernel mounts onto it; it went with the device nodes.
        fs::create_dir_all(root.join("dev"))?;
        Ok(tree)
    }

    /// Where the guest's absolute `path` lies on this machine.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The text of a file.
    pub fn read(&self, path: &str) -> Result<String> {
        let file = self.path(path);
        fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))
    }

    /// Puts a new file at `path`. What was there goes first: it may be a link whose absolute
    /// target is a file of this machine.
    pub fn write(&self, path: &str, mode: u32, content: &str) -> Result<()> {
        let file = self.vacate(path)?;
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(&file)
            .and_then(|mut open| {
                open.write_all(content.as_bytes())?;
                // Whatever the umask says.
                open.set_permissions(fs::Permissions::from_mode(mode))
            })
            .with_context(|| format!("{} cannot be written", file.display()))
    }

    /// Replaces the content of an existing file; owner and permissions stay.
    pub fn rewrite(&self, path: &str, content: &str) -> Result<()> {
        let file = self.path(path);
        OpenOptions::new()
            .write(true)
            .truncate(true)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(&file)
            .and_then(|mut open| open.write_all(content.as_bytes()))
            .with_context(|| format!("{} cannot be rewritten", file.display()))
    }

    /// Makes `path` a symbolic link to `target`.
    pub fn link(&self, path: &str, target: &str) -> Result<()> {
        let file = self.vacate(path)?;
        symlink(target, &file).with_context(|| format!("{} cannot be linked", file.display()))
    }

    /// Removes a file, if it is there.
    pub fn remove(&self, path: &str) -> Result<()> {
        let file = self.path(path);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("{} cannot be removed", file.display()))
            }
            _ => Ok(()),
        }
    }

    /// A command for `program` that sees the guest's owners in this tree.
    pub fn reader(&self, program: &str) -> Result<Command> {
        self.as_owner(program, Owners::Feign)
    }

    fn as_owner(&self, program: &str, owners: Owners) -> Result<Command> {
        let direct = tool(program)?;
        if rustix::process::geteuid().is_root() {
            return Ok(direct);
        }
        let mut fakeroot = tool("fakeroot")?;
        fakeroot.arg(match owners {
            Owners::Note => "-s",
            Owners::Feign => "-i",
        });
        fakeroot
            .arg(self.root.with_extension("owners"))
            .arg("--")
            .arg(direct.get_program());
        Ok(fakeroot)
    }

    fn vacate(&self, path: &str) -> Result<PathBuf> {
        self.remove(path)?;
        let file = self.path(path);
        let folder = file.parent().context("a guest's file has a folder")?;
        fs::create_dir_all(folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(file)
    }
}

/// What fakeroot does with the owners.
#[derive(Clone, Copy)]
enum Owners {
    Note,
    Feign,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_replaces_a_link_instead_of_following_it() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        fs::write(&outside, "host").unwrap();
        let tree = Tree::create(&folder.path().join("tree")).unwrap();
        tree.link("/etc/resolv.conf", outside.to_str().unwrap())
            .unwrap();
        tree.write("/etc/resolv.conf", 0o640, "guest").unwrap();
        assert_eq!(fs::read_to_string(&outside).unwrap(), "host");
        assert_eq!(tree.read("/etc/resolv.conf").unwrap(), "guest");
        let mode = tree
            .path("/etc/resolv.conf")
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o640);
    }

    #[test]
    fn rewrite_refuses_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        fs::write(&outside, "host").unwrap();
        let tree = Tree::create(&folder.path().join("tree")).unwrap();
        tree.link("/etc/shadow", outside.to_str().unwrap()).unwrap();
        assert!(tree.rewrite("/etc/shadow", "guest").is_err());
        assert_eq!(fs::read_to_string(&outside).unwrap(), "host");
    }

    #[test]
    fn remove_of_nothing_is_fine() {
        let folder = tempfile::tempdir().unwrap();
        Tree::create(folder.path())
            .unwrap()
            .remove("/etc/nothing")
            .unwrap();
    }
}
