//! The guest host: a machine for tests that need what the test machine lacks (device-mapper, a disk
//! that fails or loses power, little memory, a KVM that runs guests).
//!
//! Debian's full kernel and an initramfs of busybox. The test machine's root is read-only at
//! `/host`, so what was built runs in it unchanged; results leave by `/out`, a folder of the test's.
//! What it runs is the script `/out/command`, and then it powers off. Instead of that it can go on
//! to a system on its first disk. `tests/src/host` starts it.

use super::initramfs::Initramfs;

/// The guest host.
pub const HOST: Initramfs = Initramfs {
    // The one for virtual machines has no 9p.
    kernel: "linux-image-amd64",
    arguments: "console=ttyS0,115200 quiet panic=-1 mitigations=off audit=0 tsc=reliable clocksource=tsc",
    folders: &[
        "bin",
        "dev",
        "host",
        "lib",
        "lib/modules",
        "new",
        "out",
        "proc",
        "sys",
    ],
    files: &[
        ("init", 0o755, include_str!("../../guest/host/init")),
        ("lib/stage2", 0o755, include_str!("../../guest/host/stage2")),
    ],
    modules: &[
        (
            "base",
            &[
                "virtio_pci",
                "virtio_blk",
                "9pnet_virtio",
                "9p",
                "crc32c_generic", // ext4 asks for it only when it mounts
                "ext4",
                "loop",
            ],
        ),
        (
            "crypt",
            &[
                "dm_crypt",
                "xts",
                "essiv",
                "sha512_generic",
                "aesni_intel",
                "algif_skcipher",
            ],
        ),
        ("faults", &["dm_mod", "dm_flakey"]),
        ("kvm", &["kvm_amd", "tun"]),
    ],
};

/// What it is made from; its hash names the guest.
pub fn recipe() -> String {
    HOST.recipe(("host.rs", include_str!("host.rs")))
}
