//! The Debian guest: a real Debian 12 on a bootable disk.
//!
//! mmdebstrap installs the packages, [`settings`] makes them a quickly booting machine, and
//! [`disk`](super::disk) and [`grub`](super::grub) make a disk of it.

mod settings;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::disk::{self, ROOT_UUID};
use super::tree::{self, Tree};
use super::{COMMAND_LINE, INITRD, KERNEL, KERNEL_PACKAGE, SUITE, grub, recipe_text};
use crate::tool::{run, tool};

/// The disk's name in the guest's folder.
pub const DISK: &str = "debian-12.qcow2";

/// Arguments of the kernel after `root=`. The last console is the one that init talks to.
const KERNEL_ARGUMENTS: &str = "ro console=tty0 console=ttyS0,115200 loglevel=4";

const PACKAGES: &[&str] = &[
    KERNEL_PACKAGE,
    "systemd-sysv",
    "systemd-resolved",
    "udev",
    "dbus",
    "iproute2",
    "netbase",
    "openssh-server",
    "sudo", // cloud-init gives its user the right to use it
    "cloud-init",
    "cloud-guest-utils",
    "pciutils",
    "zstd", // compresses the initramfs
];

/// Never unpacked: nobody reads them in this guest.
const LEFT_OUT: &[&str] = &[
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
];

/// What the guest is made from; its hash names the guest.
pub fn recipe() -> String {
    let mut ingredients = vec![
        ("debian.rs", include_str!("debian.rs")),
        ("settings.rs", include_str!("debian/settings.rs")),
        ("disk.rs", include_str!("disk.rs")),
        ("grub.rs", include_str!("grub.rs")),
        ("tree.rs", include_str!("tree.rs")),
    ];
    ingredients.extend(settings::ALL.iter().map(|file| (file.path, file.content)));
    let packages = PACKAGES.join(" ");
    recipe_text(
        &[format!("suite {SUITE}"), format!("packages {packages}")],
        &ingredients,
    )
}

/// Fills `folder` with disk, kernel and initramfs.
pub fn build(folder: &Path) -> Result<()> {
    let scratch = folder.join("scratch");
    fs::create_dir(&scratch)?;
    eprintln!("guest: installing Debian {SUITE} from its packages (about a minute)");
    let archive = install(&scratch)?;
    let tree = Tree::unpack(&archive, &scratch.join("tree"), &[])?;
    fs::remove_file(&archive)?;
    settings::apply(&tree)?;
    fs::copy(tree.path("/vmlinuz"), folder.join(KERNEL)).context("the guest has no kernel")?;
    fs::copy(tree.path("/initrd.img"), folder.join(INITRD)).context("the guest has no initrd")?;
    fs::write(folder.join(COMMAND_LINE), format!("{}\n", command_line()))?;

    eprintln!("guest: making the disk");
    let raw = scratch.join("disk.raw");
    disk::make(&tree, &raw)?;
    grub::install(&raw, &scratch)?;
    run(tool("qemu-img")?
        .args(["convert", "-f", "raw", "-O", "qcow2"])
        .args([&raw, &folder.join(DISK)]))?;
    fs::remove_dir_all(&scratch).context("the scratch folder cannot be removed")
}

fn command_line() -> String {
    format!("root=UUID={ROOT_UUID} {KERNEL_ARGUMENTS}")
}

/// Runs mmdebstrap in `scratch`; the answer is a tar of the whole system.
fn install(scratch: &Path) -> Result<std::path::PathBuf> {
    // Before the kernel's package makes its initramfs, which happens inside mmdebstrap.
    let early = Tree::create(&scratch.join("early"))?;
    settings::apply_early(&early)?;
    // As a tar of root's: copied as they are, its folders would give /etc to whoever builds.
    run(tool("tar")?
        .current_dir(scratch)
        .args(["--create", "--owner=0", "--group=0", "--numeric-owner"])
        .args(["--file=early.tar", "--directory=early", "etc"]))?;
    let mut command = tool("mmdebstrap")?;
    command
        .current_dir(scratch)
        .args(["--mode=auto", "--format=tar", "--variant=minbase"]);
    command.arg("--quiet").args(tree::WITHOUT_DEVICES);
    command.args(
        LEFT_OUT
            .iter()
            .map(|glob| format!("--dpkgopt=path-exclude={glob}")),
    );
    command.arg(format!("--include={}", PACKAGES.join(",")));
    command.args(["--essential-hook=tar-in early.tar /", SUITE, "root.tar"]);
    run(&mut command).context("Debian could not be installed into a folder")?;
    Ok(scratch.join("root.tar"))
}
