//! The tiny guest: Debian's kernel and an initramfs of busybox, for tests that need a running
//! machine but not an operating system.
//!
//! It says `kinglet-tiny ready` on ttyS0 and gives a shell there, asks DHCP for an address,
//! answers HTTP on port 80 and powers off when the ACPI power button is pressed.

use super::KERNEL_PACKAGE;
use super::initramfs::Initramfs;

/// The tiny guest.
pub const TINY: Initramfs = Initramfs {
    kernel: KERNEL_PACKAGE,
    arguments: "console=ttyS0,115200 quiet",
    folders: FOLDERS,
    files: FILES,
    modules: &[("order", MODULES)],
};

/// What it is made from; its hash names the guest.
pub fn recipe() -> String {
    TINY.recipe(("tiny.rs", include_str!("tiny.rs")))
}

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
