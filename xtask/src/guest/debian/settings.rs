//! What makes a freshly installed Debian this guest: its files, its services.

use anyhow::Result;

use super::{KERNEL_ARGUMENTS, ROOT_UUID, Tree};

/// A file of the guest.
pub struct Setting {
    /// Its path in the guest.
    pub path: &'static str,
    /// Its permission bits.
    mode: u32,
    /// Its content; `@ROOT_UUID@` and `@CMDLINE@` are filled in.
    pub content: &'static str,
}

/// A setting whose content is a file of xtask/guest/debian.
macro_rules! setting {
    ($path:literal, $mode:literal, $file:literal) => {
        Setting {
            path: $path,
            mode: $mode,
            content: include_str!(concat!("../../../guest/debian/", $file)),
        }
    };
}

/// Every file that differs from what the packages bring.
pub const ALL: &[Setting] = &[
    setting!("/boot/grub/grub.cfg", 0o644, "grub.cfg"),
    setting!("/etc/cloud/cloud.cfg.d/90-kinglet.cfg", 0o644, "cloud.cfg"),
    setting!("/etc/fstab", 0o644, "fstab"),
    setting!("/etc/hosts", 0o644, "hosts"),
    setting!("/etc/repart.d/50-root.conf", 0o644, "repart.conf"),
    setting!("/etc/ssh/sshd_config.d/10-kinglet.conf", 0o644, "sshd.conf"),
    setting!(
        "/etc/systemd/network/80-dhcp.network",
        0o644,
        "dhcp.network"
    ),
    setting!(
        "/etc/systemd/system/ssh-host-key.service",
        0o644,
        "ssh-host-key.service"
    ),
    setting!(
        "/etc/systemd/resolved.conf.d/kinglet.conf",
        0o644,
        "resolved.conf"
    ),
    setting!(
        "/etc/systemd/system/systemd-networkd-wait-online.service.d/any.conf",
        0o644,
        "wait-online.conf"
    ),
    Setting {
        path: "/etc/hostname",
        mode: 0o644,
        content: "debian\n",
    },
    // Empty, not absent: systemd makes an identity of its own for each guest, and does not
    // take this for a first boot on which every preset is applied again.
    Setting {
        path: "/etc/machine-id",
        mode: 0o444,
        content: "",
    },
    // Newer than /usr: nothing has to be rebuilt at the first boot.
    Setting {
        path: "/etc/.updated",
        mode: 0o644,
        content: "",
    },
    Setting {
        path: "/var/.updated",
        mode: 0o644,
        content: "",
    },
    setting!(
        "/etc/initramfs-tools/conf.d/kinglet",
        0o644,
        "initramfs.conf"
    ),
    setting!(
        "/etc/initramfs-tools/hooks/kinglet",
        0o755,
        "initramfs-hook"
    ),
];

/// What must be there before the kernel's package is installed: it decides what goes into
/// the initramfs.
const EARLY: &str = "/etc/initramfs-tools/";

/// SHA-512 crypt of "kinglet". Only the serial console and the screen accept it.
const ROOT_PASSWORD: &str = "$6$kinglet$2krFAiTcyJBWSjHpNfB3oE9gg78eejpnuzCiAi6MKUkQh4nWXRZhemrflrGHiUUXA6V2sUSvrM8twSF6dq9yh.";

/// Links that `systemctl enable` would make: `(wanted by, unit's file)`.
const ENABLED: &[(&str, &str)] = &[
    (
        "multi-user.target",
        "/lib/systemd/system/systemd-networkd.service",
    ),
    (
        "network-online.target",
        "/lib/systemd/system/systemd-networkd-wait-online.service",
    ),
    ("ssh.service", "/etc/systemd/system/ssh-host-key.service"),
];

/// Slow, periodic or useless in a guest that lives for minutes.
const MASKED: &[&str] = &[
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "man-db.timer",
    "proc-sys-fs-binfmt_misc.automount",
    "systemd-binfmt.service",
    "systemd-pstore.service",
    "systemd-update-utmp-runlevel.service",
    "systemd-update-utmp.service",
];

/// Made by the packages on the build machine, and therefore not a secret of the guest.
const REMOVED: &[&str] = &[
    "/etc/ssh/ssh_host_ecdsa_key",
    "/etc/ssh/ssh_host_ecdsa_key.pub",
    "/etc/ssh/ssh_host_ed25519_key",
    "/etc/ssh/ssh_host_ed25519_key.pub",
    "/etc/ssh/ssh_host_rsa_key",
    "/etc/ssh/ssh_host_rsa_key.pub",
    "/var/lib/dbus/machine-id",
    "/var/lib/systemd/random-seed",
];

/// Puts the settings that the packages themselves obey into an otherwise empty tree.
pub fn apply_early(tree: &Tree) -> Result<()> {
    ALL.iter()
        .filter(|file| file.path.starts_with(EARLY))
        .try_for_each(|file| write(tree, file))
}

/// Turns an installed tree into the guest.
pub fn apply(tree: &Tree) -> Result<()> {
    ALL.iter().try_for_each(|file| write(tree, file))?;
    for path in REMOVED {
        tree.remove(path)?;
    }
    for (wanter, unit) in ENABLED {
        let name = unit.rsplit('/').next().unwrap_or(unit);
        tree.link(&format!("/etc/systemd/system/{wanter}.wants/{name}"), unit)?;
    }
    for unit in MASKED {
        tree.remove(&format!("/etc/systemd/system/timers.target.wants/{unit}"))?;
        tree.link(&format!("/etc/systemd/system/{unit}"), "/dev/null")?;
    }
    let shadow = with_root_password(&tree.read("/etc/shadow")?);
    tree.rewrite("/etc/shadow", &shadow)
}

fn write(tree: &Tree, file: &Setting) -> Result<()> {
    let content = file
        .content
        .replace("@ROOT_UUID@", ROOT_UUID)
        .replace("@CMDLINE@", KERNEL_ARGUMENTS);
    tree.write(file.path, file.mode, &content)
}

fn with_root_password(shadow: &str) -> String {
    let mut lines = String::new();
    for line in shadow.lines() {
        let mut fields: Vec<&str> = line.split(':').collect();
        if let ["root", password, ..] = fields.as_mut_slice() {
            *password = ROOT_PASSWORD;
        }
        lines.push_str(&fields.join(":"));
        lines.push('\n');
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_password_changes_root_only() {
        let text = with_root_password("root:*:1:0:99999:7:::\nsshd:!:1::::::\n");
        assert_eq!(
            text,
            format!("root:{ROOT_PASSWORD}:1:0:99999:7:::\nsshd:!:1::::::\n")
        );
    }

    #[test]
    fn settings_leave_no_placeholder() {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::create(folder.path()).unwrap();
        for file in ALL {
            write(&tree, file).unwrap();
            let text = tree.read(file.path).unwrap();
            assert!(
                !text.contains("@ROOT_UUID@") && !text.contains("@CMDLINE@"),
                "{}",
                file.path
            );
        }
        assert!(tree.read("/etc/fstab").unwrap().contains(ROOT_UUID));
    }

    #[test]
    fn early_settings_are_those_the_initramfs_depends_on() {
        let folder = tempfile::tempdir().unwrap();
        apply_early(&Tree::create(folder.path()).unwrap()).unwrap();
        assert!(
            folder
                .path()
                .join("etc/initramfs-tools/hooks/kinglet")
                .exists()
        );
        assert!(!folder.path().join("etc/fstab").exists());
    }
}
