//! A kernel of Debian's and an initramfs of busybox, kernel modules and a few files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::cpio::Archive;
use super::modules::Modules;
use super::tree::{self, Tree};
use super::{COMMAND_LINE, INITRD, KERNEL, SUITE, recipe_text};
use crate::tool::{run, tool};

/// A guest that is nothing but a kernel and an initramfs.
pub struct Initramfs {
    /// Debian's package of the kernel.
    pub kernel: &'static str,
    /// The kernel's arguments.
    pub arguments: &'static str,
    /// Folders, each after the one that it lies in.
    pub folders: &'static [&'static str],
    /// `(path, permissions, content)`.
    pub files: &'static [(&'static str, u32, &'static str)],
    /// `(list, modules)`: each list becomes a file in `lib/modules` that names these modules and all
    /// that they need, in the order in which they have to be loaded.
    pub modules: &'static [(&'static str, &'static [&'static str])],
}

impl Initramfs {
    /// What the guest is made from, `source` being the file that says so; its hash names the guest.
    pub fn recipe(&self, source: (&str, &str)) -> String {
        let mut ingredients = vec![
            source,
            ("initramfs.rs", include_str!("initramfs.rs")),
            ("cpio.rs", include_str!("cpio.rs")),
            ("modules.rs", include_str!("modules.rs")),
        ];
        ingredients.extend(
            self.files
                .iter()
                .map(|(path, _, content)| (*path, *content)),
        );
        recipe_text(
            &[
                format!("suite {SUITE}"),
                format!("packages {}", self.packages()),
            ],
            &ingredients,
        )
    }

    /// Fills `folder` with kernel and initramfs.
    pub fn build(&self, folder: &Path) -> Result<()> {
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
            .arg(format!("--include={}", self.packages()))
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
        fs::write(folder.join(INITRD), self.archive(&tree)?)?;
        fs::write(folder.join(COMMAND_LINE), format!("{}\n", self.arguments))?;
        fs::remove_dir_all(&scratch).context("the scratch folder cannot be removed")
    }

    fn packages(&self) -> String {
        format!("{},busybox-static", self.kernel)
    }

    fn archive(&self, tree: &Tree) -> Result<Vec<u8>> {
        let mut archive = Archive::default();
        for path in self.folders {
            archive.folder(path)?;
        }
        archive.file("bin/busybox", 0o755, &fs::read(tree.path("/bin/busybox"))?)?;
        archive.link("bin/sh", "busybox")?;
        for (path, mode, content) in self.files {
            archive.file(path, *mode, content.as_bytes())?;
        }
        let found = Modules::below(&tree.path("/lib/modules"))?;
        let mut all = BTreeMap::new();
        for (list, wanted) in self.modules {
            let modules = found.in_load_order(wanted)?;
            let order: Vec<&str> = modules.iter().map(|(name, _)| name.as_str()).collect();
            let order = order.join("\n") + "\n";
            archive.file(&format!("lib/modules/{list}"), 0o644, order.as_bytes())?;
            all.extend(modules);
        }
        for (name, content) in all {
            archive.file(&format!("lib/modules/{name}.ko"), 0o644, &content)?;
        }
        archive.finish()
    }
}

/// The first entry of `folder` whose name begins with `prefix`.
fn only_entry(folder: &Path, prefix: &str) -> Result<PathBuf> {
    fs::read_dir(folder)?
        .filter_map(Result::ok)
        .find(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .with_context(|| format!("the kernel's package has no {prefix}* in /boot"))
}
