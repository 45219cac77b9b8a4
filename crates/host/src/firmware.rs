//! UEFI firmware for guests: OVMF's code and its template of variables, where distributions put them.

use std::path::{Path, PathBuf};

/// A build of OVMF. Code and variables belong together: never mix sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ovmf {
    /// The firmware's code, mapped read-only.
    pub code: PathBuf,
    /// The template of the variable store; each VM gets a copy of its own.
    pub vars: PathBuf,
}

/// Pairs without Secure Boot, raw format, the 4 MiB build before the older 2 MiB one.
const OVMF: [(&str, &str); 8] = [
    // Debian, Ubuntu
    (
        "/usr/share/OVMF/OVMF_CODE_4M.fd",
        "/usr/share/OVMF/OVMF_VARS_4M.fd",
    ),
    (
        "/usr/share/OVMF/OVMF_CODE.fd",
        "/usr/share/OVMF/OVMF_VARS.fd",
    ),
    // Arch
    (
        "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
        "/usr/share/edk2/x64/OVMF_VARS.4m.fd",
    ),
    (
        "/usr/share/edk2-ovmf/x64/OVMF_CODE.fd",
        "/usr/share/edk2-ovmf/x64/OVMF_VARS.fd",
    ),
    // Fedora, RHEL
    (
        "/usr/share/edk2/ovmf/OVMF_CODE.fd",
        "/usr/share/edk2/ovmf/OVMF_VARS.fd",
    ),
    // openSUSE
    (
        "/usr/share/qemu/ovmf-x86_64-4m-code.bin",
        "/usr/share/qemu/ovmf-x86_64-4m-vars.bin",
    ),
    // Gentoo, Alpine
    (
        "/usr/share/edk2-ovmf/OVMF_CODE.fd",
        "/usr/share/edk2-ovmf/OVMF_VARS.fd",
    ),
    // QEMU's own, as built from source
    (
        "/usr/share/qemu/edk2-x86_64-code.fd",
        "/usr/share/qemu/edk2-i386-vars.fd",
    ),
];

/// SeaBIOS as QEMU loads it by default.
const SEABIOS: [&str; 4] = [
    "/usr/share/seabios/bios-256k.bin",
    "/usr/share/qemu/bios-256k.bin",
    "/usr/local/share/qemu/bios-256k.bin",
    "/usr/share/seavgabios/bios-256k.bin",
];

/// The first complete pair of OVMF files.
#[must_use]
pub fn ovmf() -> Option<Ovmf> {
    ovmf_below(Path::new("/"))
}

/// SeaBIOS, which QEMU finds by itself; here only to be told.
#[must_use]
pub fn seabios() -> Option<PathBuf> {
    SEABIOS
        .iter()
        .map(PathBuf::from)
        .find(|file| file.is_file())
}

fn ovmf_below(root: &Path) -> Option<Ovmf> {
    OVMF.iter()
        .map(|(code, vars)| Ovmf {
            code: below(root, code),
            vars: below(root, vars),
        })
        .find(|pair| pair.code.is_file() && pair.vars.is_file())
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ovmf_takes_only_a_complete_pair() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("usr/share/OVMF");
        std::fs::create_dir_all(&folder).unwrap();
        assert_eq!(ovmf_below(root.path()), None);
        std::fs::write(folder.join("OVMF_CODE_4M.fd"), "").unwrap();
        std::fs::write(folder.join("OVMF_VARS.fd"), "").unwrap();
        assert_eq!(ovmf_below(root.path()), None, "sizes must not be mixed");
        std::fs::write(folder.join("OVMF_CODE.fd"), "").unwrap();
        let pair = ovmf_below(root.path()).unwrap();
        assert!(pair.code.ends_with("OVMF_CODE.fd") && pair.vars.ends_with("OVMF_VARS.fd"));
    }
}
