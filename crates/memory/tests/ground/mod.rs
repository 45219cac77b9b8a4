//! Ground to try swap on: a folder on this machine's disk, a fixture root for the boot configuration,
//! and guards that leave the machine's swap, mounts and loop devices as they were, also on a panic.

#![allow(dead_code, reason = "each test binary uses another part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use kinglet_memory::proc::{ActiveSwap, swaps};
use kinglet_memory::swap::{SwapConfig, SwapKeeper, SwapPath};
use kinglet_model::Size;
use kinglet_model::memory::SwapSpec;
use tempfile::TempDir;

pub const FSTAB: &str = "/dev/sda1 / ext4 defaults 0 1\n/other none swap sw 0 0";

pub struct Ground {
    folder: TempDir,
    mounts: Vec<PathBuf>,
}

impl Ground {
    pub fn new() -> Self {
        let folder = tempfile::tempdir_in(place()).unwrap();
        fs::create_dir_all(folder.path().join("root/etc")).unwrap();
        fs::write(folder.path().join("root/etc/fstab"), FSTAB).unwrap();
        fs::create_dir(folder.path().join("data")).unwrap();
        Self {
            folder,
            mounts: Vec::new(),
        }
    }

    /// A folder that is there already, such as one that a killed process worked in.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn at(&self, path: &str) -> String {
        self.folder.path().join(path).to_str().unwrap().to_owned()
    }

    pub fn keeper(&self) -> SwapKeeper {
        keeper(self.path())
    }

    pub fn fstab(&self) -> String {
        fs::read_to_string(self.at("root/etc/fstab")).unwrap()
    }

    /// What the kernel swaps to within this ground.
    pub fn active(&self) -> Vec<ActiveSwap> {
        let mut all = active();
        all.retain(|swap| swap.path.starts_with(self.path()));
        all
    }

    /// Swap files that exist within this ground, temporary ones too.
    pub fn files(&self) -> Vec<String> {
        let mut names = Vec::new();
        for folder in ["data", "elsewhere", "state", "root/etc"] {
            let entries = fs::read_dir(self.at(folder)).into_iter().flatten();
            names.extend(
                entries.map(|entry| {
                    format!("{folder}/{}", entry.unwrap().file_name().to_str().unwrap())
                }),
            );
        }
        names.retain(|name| name.contains("swapfile") || name.contains("tmp"));
        names.sort();
        names
    }

    /// Mounts a new file system of this kind, in a file, at `data`.
    pub fn mount_made_by(&mut self, mkfs: &[&str], options: &str) {
        let image = self.at("image");
        fs::File::create(&image)
            .unwrap()
            .set_len(600 << 20)
            .unwrap();
        let mut command = Command::new(mkfs[0]);
        ok(command.args(&mkfs[1..]).arg(&image));
        self.mount(&["-o", options, &image]);
    }

    pub fn mount(&mut self, arguments: &[&str]) {
        let data = self.at("data");
        ok(Command::new("mount").args(arguments).arg(&data));
        self.mounts.push(PathBuf::from(&data));
        fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }

    pub fn unmount(&mut self) {
        for mount in self.mounts.drain(..).rev() {
            ok(Command::new("umount").arg(mount));
        }
    }
}

/// Where the ground lies: with what is built, unless that is where no swap file may be.
fn place() -> &'static Path {
    let built = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let passing = ["/tmp", "/var/tmp", "/run"]
        .iter()
        .any(|folder| built.starts_with(folder));
    if passing {
        Path::new("/var/lib")
    } else {
        built
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        for swap in self.active() {
            let _ = Command::new("swapoff").arg(&swap.path).status();
        }
        for mount in self.mounts.drain(..).rev() {
            let _ = Command::new("umount").arg(mount).status();
        }
    }
}

pub fn keeper(ground: &Path) -> SwapKeeper {
    let default = SwapPath::parse(ground.join("data/swapfile").to_str().unwrap()).unwrap();
    let config = SwapConfig {
        allowed: vec![ground.to_owned()],
        root: ground.join("root"),
        ..SwapConfig::of_host(ground.join("state"), default)
    };
    SwapKeeper::new(config)
}

/// A swap file of so many MiB at the default place, kept over reboots.
pub fn wanted(mib: u64) -> SwapSpec {
    SwapSpec {
        enabled: true,
        size: Size::mib(mib),
        persistent: true,
        ..SwapSpec::default()
    }
}

pub fn none() -> SwapSpec {
    SwapSpec::default()
}

pub fn active() -> Vec<ActiveSwap> {
    swaps(&fs::read_to_string("/proc/swaps").unwrap())
}

/// Swap of this machine that no test made.
pub fn of_the_machine() -> Vec<ActiveSwap> {
    let mut all = active();
    all.retain(|swap| !swap.path.starts_with(place()) && !swap.path.starts_with("/dev/zram"));
    all
}

pub fn ok(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

pub fn said(command: &mut Command) -> String {
    String::from_utf8(ok(command).stdout).unwrap()
}
