//! The table of Debian packages: which chore needs which, and what for.

use clap::ValueEnum;

/// A chore, as far as its needs go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Purpose {
    /// Build the guest images
    Guest,
    /// Build the guests and run virtual machines
    Demo,
    /// All of that, and the judges and the browser of the test suite
    Test,
    /// Run virtual machines and measure them
    Bench,
    /// Run virtual machines and photograph the page
    Screenshots,
}

/// Building the guest images.
const GUEST: &[&str] = &[
    "mmdebstrap",         // Debian's packages → a file tree
    "e2fsprogs",          // mke2fs -d
    "fdisk",              // sfdisk
    "dosfstools",         // mkfs.vfat
    "mtools",             // mmd, mcopy: files into the ESP
    "grub-common",        // grub-mkimage
    "grub-pc-bin",        // GRUB's modules for BIOS
    "grub-efi-amd64-bin", // and for UEFI
    "qemu-utils",         // qemu-img
];

/// Without root, mmdebstrap needs user namespaces, and the tree's owners must be feigned.
const GUEST_UNPRIVILEGED: &[&str] = &["uidmap", "fakeroot"];

/// Running virtual machines.
const VMS: &[&str] = &[
    "qemu-system-x86",
    "seabios",
    "ovmf",
    "qemu-utils",
    "passt",          // user-mode network
    "openssh-client", // the demo's and the tests' way in
];

/// The second font has the Chinese characters of the page.
const BROWSER: &[&str] = &["chromium", "fonts-dejavu-core", "fonts-wqy-zenhei"];

/// What the test suite judges our formats by, and makes its samples with.
const JUDGES: &[&str] = &[
    "btrfs-progs",
    "busybox-static",
    "cryptsetup-bin",
    "curl",
    "erofs-utils",
    "file",
    "genisoimage",
    "gzip",
    "iproute2",
    "openssh-client",
    "python3",
    "python3-venv",
    "rsync",
    "squashfs-tools",
    "sqlite3",
    "xfsprogs",
    "xorriso",
    "xz-utils",
    "zstd",
];

/// The packages for `purpose`, each once. An ordinary user needs a few more than root.
pub fn needed(purpose: Purpose, root: bool) -> Vec<&'static str> {
    let groups: &[&[&str]] = match purpose {
        Purpose::Guest => &[GUEST],
        Purpose::Demo | Purpose::Bench => &[GUEST, VMS],
        Purpose::Screenshots => &[GUEST, VMS, BROWSER],
        Purpose::Test => &[GUEST, VMS, BROWSER, JUDGES],
    };
    let mut names = Vec::new();
    let extra: &[&str] = if root { &[] } else { GUEST_UNPRIVILEGED };
    for name in groups.iter().copied().chain([extra]).flatten().copied() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_package_is_named_once_and_well_formed() {
        for purpose in Purpose::value_variants() {
            let names = needed(*purpose, false);
            for (index, name) in names.iter().enumerate() {
                assert!(
                    !names[..index].contains(name),
                    "{name} twice for {purpose:?}"
                );
                let legal =
                    |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
                assert!(name.chars().all(legal), "{name}");
            }
        }
    }

    #[test]
    fn test_needs_all_that_demo_needs() {
        let test = needed(Purpose::Test, true);
        for name in needed(Purpose::Demo, true) {
            assert!(test.contains(&name), "{name}");
        }
    }

    #[test]
    fn only_an_ordinary_user_needs_namespaces() {
        assert!(needed(Purpose::Guest, false).contains(&"uidmap"));
        assert!(!needed(Purpose::Guest, true).contains(&"uidmap"));
    }
}
