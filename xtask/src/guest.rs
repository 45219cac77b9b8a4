//! Guests for demos and tests, made from Debian's packages and kept in the cache.
//!
//! Neither needs loop devices or mounts: file systems are written into files. Root can build
//! them, and so can an ordinary user where user namespaces are allowed.

mod cpio;
mod debian;
mod disk;
mod grub;
mod host;
mod initramfs;
mod modules;
mod tiny;
mod tree;

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::cache;
use crate::setup::{self, Purpose};

/// A finished guest in the cache. Its files are shared: boot them through an overlay.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The folder with all its files.
    pub folder: PathBuf,
}

impl Guest {
    /// The bootable qcow2 disk (the Debian guest only).
    pub fn disk(&self) -> PathBuf {
        self.folder.join(debian::DISK)
    }
}

/// The kernel's name in a guest's folder.
const KERNEL: &str = "vmlinuz";
/// Its initramfs.
const INITRD: &str = "initrd.img";
/// The kernel's command line for a direct boot of the two.
const COMMAND_LINE: &str = "cmdline";

/// The Debian release of all guests.
const SUITE: &str = "bookworm";

/// Debian's kernel for virtual machines.
const KERNEL_PACKAGE: &str = "linux-image-cloud-amd64";

/// A bootable Debian 12: systemd, sshd, cloud-init. Built on the first call.
pub fn debian() -> Result<Guest> {
    obtain("debian-12", &debian::recipe(), &debian::build)
}

/// A kernel and an initramfs of busybox that are at a shell within seconds.
pub fn tiny() -> Result<Guest> {
    obtain("tiny", &tiny::recipe(), &|folder| tiny::TINY.build(folder))
}

/// A kernel and an initramfs for hosts of the tests' own: see [`host`].
pub fn host() -> Result<Guest> {
    obtain("host", &host::recipe(), &|folder| host::HOST.build(folder))
}

fn obtain(kind: &str, recipe: &str, build: &dyn Fn(&Path) -> Result<()>) -> Result<Guest> {
    let shelf = cache::root()?.join("guests");
    let folder = cache::obtain(&shelf, kind, recipe, |folder| {
        setup::ensure(Purpose::Guest)?;
        // The guest's folders must be readable to its users, whatever the builder's habits.
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        build(folder)
    })?;
    Ok(Guest { folder })
}

/// What a guest is made from, as text: settings, then a digest of each ingredient.
fn recipe_text(settings: &[String], ingredients: &[(&str, &str)]) -> String {
    let mut lines = settings.to_vec();
    for (name, content) in ingredients {
        lines.push(format!("{} {name}", cache::digest(content.as_bytes())));
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipe_changes_with_every_setting_and_ingredient() {
        let base = recipe_text(&["suite bookworm".into()], &[("fstab", "a")]);
        assert!(base.starts_with("suite bookworm\n"));
        for other in [
            recipe_text(&["suite trixie".into()], &[("fstab", "a")]),
            recipe_text(&["suite bookworm".into()], &[("fstab", "b")]),
            recipe_text(&["suite bookworm".into()], &[("hosts", "a")]),
        ] {
            assert_ne!(cache::hash(&base), cache::hash(&other));
        }
    }

    #[test]
    fn guests_have_different_recipes() {
        let recipes = [debian::recipe(), tiny::recipe(), host::recipe()];
        let names: std::collections::BTreeSet<_> =
            recipes.iter().map(|recipe| cache::hash(recipe)).collect();
        assert_eq!(names.len(), recipes.len());
    }
}
