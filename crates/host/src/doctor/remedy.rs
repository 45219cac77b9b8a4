//! The exact command that installs something here.

use crate::program;

/// A package under the name that each distribution gives it.
pub struct Package {
    pub debian: &'static str,
    pub fedora: &'static str,
    pub arch: &'static str,
    pub suse: &'static str,
    pub alpine: &'static str,
}

/// QEMU for x86-64 guests.
pub const QEMU: Package = Package {
    debian: "qemu-system-x86",
    fedora: "qemu-kvm",
    arch: "qemu-base",
    suse: "qemu-x86",
    alpine: "qemu-system-x86_64",
};

/// UEFI firmware.
pub const OVMF: Package = Package {
    debian: "ovmf",
    fedora: "edk2-ovmf",
    arch: "edk2-ovmf",
    suse: "qemu-ovmf-x86_64",
    alpine: "ovmf",
};

/// BIOS firmware.
pub const SEABIOS: Package = Package {
    debian: "seabios",
    fedora: "seabios-bin",
    arch: "seabios",
    suse: "qemu-seabios",
    alpine: "seabios",
};

/// User-mode networking.
pub const PASST: Package = Package {
    debian: "passt",
    fedora: "passt",
    arch: "passt",
    suse: "passt",
    alpine: "passt",
};

/// The command that installs `package` with this machine's package manager.
pub fn install(package: &Package) -> String {
    let has = |name| program::find(name).is_some();
    command(package, has)
}

fn command(package: &Package, has: impl Fn(&'static str) -> bool) -> String {
    if has("apt-get") {
        format!("apt-get install {}", package.debian)
    } else if has("dnf") {
        format!("dnf install {}", package.fedora)
    } else if has("pacman") {
        format!("pacman -S {}", package.arch)
    } else if has("zypper") {
        format!("zypper install {}", package.suse)
    } else if has("apk") {
        format!("apk add {}", package.alpine)
    } else {
        format!("install the package that Debian calls {}", package.debian)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_the_distributions_own() {
        assert_eq!(command(&QEMU, |name| name == "dnf"), "dnf install qemu-kvm");
        assert_eq!(
            command(&QEMU, |name| name == "apt-get"),
            "apt-get install qemu-system-x86"
        );
        assert!(command(&OVMF, |_| false).contains("ovmf"));
    }
}
