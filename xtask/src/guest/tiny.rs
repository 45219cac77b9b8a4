//! The tiny guest: Debian's kernel and an initramfs of busybox, for tests that need a running
//! machine but not an operating system.
//!
//! It says `kinglet-tiny ready` on ttyS0 and gives a shell there, asks DHCP for an address,
//! answers HTTP on port 80 and powers off when the ACPI power button is pressed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::cpio::Archive;
use super::modules::Modules;
use super::tree::{self, Tree};
use super::{COMMAND_LINE, INITRD, KERNEL, KERNEL_PACKAGE, SUITE, recipe_text};
use crate::tool::{run, tool};

const PACKAGES: &[&str] = &[KERNEL_PACKAGE, "busybox-static"];

const ARGUMENTS: &str = "console=ttyS0,115200 quiet";

/// The drivers of all paravirtual devices, and what the power button takes.
const MODULES: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "virtio_console",
    "virtio_balloon",
    "virtio_rng",
    "virtio_scsi",
    "sd_mod",
    "sr_mod",
    "isofs",
    "vmw_vsock_virtio_transport",
    "evdev",
    "button",
];

const FOLDERS: &[&str] = &[
    "bin",
    "dev",
    "etc",
    "etc/acpi",
    "etc/acpi/PWRF",
    "lib",
    "lib/modules",
    "mnt",
    "proc",
    "root",
    "run",
    "sys",
    "tmp",
    "www",
];

/// `(path, permissions, content)`.
const FILES: &[(&str, u32, &str)] = &[
    ("init", 0o755, include_str!("../../guest/tiny/init")),
    (
        "etc/udhcpc.script",
        0o755,
        include_str!("../../guest/tiny/udhcpc.script"),
    ),
    (
        "etc/acpi/PWRF/00000080",
        0o755,
        include_str!("../../guest/tiny/power-button"),
    ),
    (
        "www/index.html",
        0o644,
        include_str!("../../guest/tiny/index.html"),
    ),
];

/// What the guest is made from; its hash names the guest.
pub fn recipe() -> String {
    let mut ingredients = vec![
        ("tiny.rs", include_str!("tiny.rs")),
        ("cpio.rs", include_str!("cpio.rs")),
        ("modules.rs", include_str!("modules.rs")),
    ];
    ingredients.extend(FILES.iter().map(|(path, _, content)| (*path, *content)));
    recipe_text(
        &[
            format!("suite {SUITE}"),
            format!("packages {}", PACKAGES.join(" ")),
            format!("modules {}", MODULES.join(" ")),
        ],
        &ingredients,
    )
}

/// Fills `folder` with kernel and initramfs.
pub fn build(folder: &Path) -> Result<()> {
    let scratch = folder.join("scratch");
    fs::create_dir(&scratch)?;
    eprintln!("guest: unpacking Debian's kernel and busybox");
    run(tool("mmdebstrap")?
        .current_dir(&scratch)
        .args([
            "--mode=auto",
            "--format=tar",
            "--variant=extract",
            "--quiet",
        ])
        .args(tree::WITHOUT_DEVICES)
        .arg(format!("--include={}", PACKAGES.join(",")))
        .args([SUITE, "packages.tar"]))
    .context("Debian's kernel could not be unpacked into a folder")?;
    let members = ["./boot", "./bin/busybox", "./lib/modules"];
    let tree = Tree::unpack(
        &scratch.join("packages.tar"),
        &scratch.join("tree"),
        &members,
    )?;

    fs::copy(
        only_entry(&tree.path("/boot"), "vmlinuz-")?,
        folder.join(KERNEL),
    )?;
    fs::write(folder.join(INITRD), initramfs(&tree)?)?;
    fs::write(folder.join(COMMAND_LINE), format!("{ARGUMENTS}\n"))?;
    fs::remove_dir_all(&scratch).context("the scratch folder cannot be removed")
}

fn initramfs(tree: &Tree) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for path in FOLDERS {
        archive.folder(path)?;
    }
    archive.file("bin/busybox", 0o755, &fs::read(tree.path("/bin/busybox"))?)?;
    archive.link("bin/sh", "busybox")?;
    for (path, mode, content) in FILES {
        archive.file(path, *mode, content.as_bytes())?;
    }
    let modules = Modules::below(&tree.path("/lib/modules"))?.in_load_order(MODULES)?;
    let mut order = String::new();
    for (name, content) in &modules {
        archive.file(&format!("lib/modules/{name}.ko"), 0o644, content)?;
        order.push_str(name);
        order.push('\n');
    }
    archive.file("lib/modules/order", 0o644, order.as_bytes())?;
    archive.finish()
}

/// The first entry of `folder` whose name begins with `prefix`.
fn only_entry(folder: &Path, prefix: &str) -> Result<std::path::PathBuf> {
    fs::read_dir(folder)?
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .with_context(|| format!("the kernel's package has no {prefix}* in /boot"))
}
