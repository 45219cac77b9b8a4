//! A VM's folder: where each of its files is, its lock, and its end.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use kinglet_model::{Id, Name};
use rustix::fs::{CWD, FileType, FlockOperation, Mode};
use rustix::io::Errno;

/// The places of one VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    path: PathBuf,
    sockets: PathBuf,
}

impl Folder {
    /// The folder of the VM `id` below the data and the runtime folder.
    #[must_use]
    pub fn of(data: &Path, runtime: &Path, id: Id) -> Self {
        Self {
            path: data.join("vms").join(id.to_string()),
            sockets: runtime.join("vms").join(id.to_string()),
        }
    }

    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder of its sockets.
    #[must_use]
    pub fn sockets(&self) -> &Path {
        &self.sockets
    }

    /// The VM's own part of its disk `name`.
    #[must_use]
    pub fn disk(&self, name: &str) -> PathBuf {
        match name {
            "root" => self.path.join("root.qcow2"),
            "seed" => self.path.join("seed.iso"),
            name => self.path.join(format!("disk-{name}.qcow2")),
        }
    }

    /// The reference to the image behind its disk `name`.
    #[must_use]
    pub fn base(&self, name: &str) -> PathBuf {
        match name {
            "root" => self.path.join("root.base"),
            name => self.path.join(format!("disk-{name}.base")),
        }
    }

    /// The reference to a disc.
    #[must_use]
    pub fn media(&self, image: Id) -> PathBuf {
        self.path.join(format!("media-{image}.iso"))
    }

    /// The reference to its kernel.
    #[must_use]
    pub fn kernel(&self) -> PathBuf {
        self.path.join("kernel")
    }

    /// The reference to its initramfs.
    #[must_use]
    pub fn initrd(&self) -> PathBuf {
        self.path.join("initrd")
    }

    /// Its UEFI variables. Their being there says that it boots by UEFI.
    #[must_use]
    pub fn uefi_vars(&self) -> PathBuf {
        self.path.join("ovmf-vars.fd")
    }

    /// What its serial console said.
    #[must_use]
    pub fn console_log(&self) -> PathBuf {
        self.path.join("console.log")
    }

    /// What its engine is told of its console: it reads what is typed from `PATH.in` and writes what is
    /// said to `PATH.out`, which leads nowhere, and to the log.
    #[must_use]
    pub fn console_pipe(&self) -> PathBuf {
        self.sockets.join("console")
    }

    /// The pipe into which one types.
    #[must_use]
    pub fn keyboard(&self) -> PathBuf {
        self.sockets.join("console.in")
    }

    /// What its engine said.
    #[must_use]
    pub fn engine_log(&self) -> PathBuf {
        self.path.join("engine.log")
    }

    /// The file that its process keeps locked.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.path.join("lock")
    }

    /// Makes the folder with its lock and an empty console log.
    pub(crate) fn create(&self) -> io::Result<()> {
        private_folder(&self.path)?;
        for file in [self.lock_file(), self.console_log()] {
            OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(file)?;
        }
        Ok(())
    }

    /// Makes the console's pipe, in place of an earlier process's: what was typed to that is gone.
    pub(crate) fn make_console_pipe(&self) -> io::Result<()> {
        private_folder(&self.sockets)?;
        let screen = self.sockets.join("console.out");
        for old in [&self.keyboard(), &screen] {
            match fs::remove_file(old) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        std::os::unix::fs::symlink("/dev/null", screen)?;
        let mode = Mode::RUSR | Mode::WUSR;
        rustix::fs::mknodat(CWD, self.keyboard(), FileType::Fifo, mode, 0)?;
        Ok(())
    }

    /// Takes the lock; `None` while a process of this VM lives. It is released when the last copy of
    /// the descriptor is closed, which is when the process that inherited it ends.
    pub(crate) fn lock(&self) -> io::Result<Option<File>> {
        let file = OpenOptions::new().write(true).open(self.lock_file())?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes everything of it. Nothing to remove is no error.
    pub(crate) fn remove(&self) -> io::Result<()> {
        for folder in [&self.sockets, &self.path] {
            match fs::remove_dir_all(folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether an engine was ever started here, so that a guest may have written to its disks. What
    /// cannot be told counts as written to.
    fn has_run(&self) -> bool {
        !matches!(self.engine_log().try_exists(), Ok(false))
    }

    /// The last lines that its engine said, shortened, on one line.
    pub(crate) fn engine_said(&self) -> Option<String> {
        let text = fs::read(self.engine_log()).ok()?;
        let tail = &text[text.len().saturating_sub(2000)..];
        let tail = String::from_utf8_lossy(tail);
        let mut lines: Vec<&str> = tail
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let last = lines.split_off(lines.len().saturating_sub(3)).join("; ");
        let clean: String = last.chars().filter(|c| !c.is_control()).take(600).collect();
        (!clean.is_empty()).then_some(clean)
    }
}

/// A folder, and those above it, that only its owner can enter.
pub(crate) fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
}

/// Removes folders of VMs that are not in the registry: creations that were cut off. Only what has the
/// name of an id, and only what no process holds. Where an engine ever ran there are disks that a
/// guest wrote to, and it is the registry that lost the VM (an older copy of it was put back): such a
/// folder stays.
pub(crate) fn sweep(data: &Path, runtime: &Path, known: &dyn Fn(Id) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(data.join("vms"))? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().and_then(canonical_id) else {
            continue;
        };
        if known(id) || !entry.file_type()?.is_dir() {
            continue;
        }
        let folder = Folder::of(data, runtime, id);
        match folder.lock() {
            Ok(None) => tracing::warn!(%id, "the folder of an unknown VM is held by a process"),
            _ if folder.has_run() => tracing::warn!(
                %id,
                folder = %folder.path().display(),
                "a VM that ran is not in the registry; its disks are kept, remove the folder if you do not need them"
            ),
            Ok(Some(_held)) => folder.remove()?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => folder.remove()?,
            Err(error) => tracing::warn!(%id, %error, "the folder of an unknown VM stays"),
        }
    }
    Ok(())
}

/// An id exactly as this program writes it.
fn canonical_id(text: &str) -> Option<Id> {
    text.parse::<Id>().ok().filter(|id| id.to_string() == text)
}

/// The name of a further disk as the guest sees it: its first 20 bytes.
pub(crate) fn serial(name: &Name) -> &str {
    let text = name.as_str();
    &text[..text.len().min(20)]
}
