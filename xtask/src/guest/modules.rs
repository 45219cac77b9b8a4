//! Kernel modules for an initramfs: which ones, and in which order to load them.
//!
//! The packages are only unpacked, never configured, so there is no `modules.dep`; each module
//! says itself what it needs, in its `.modinfo`: NUL-terminated `key=value` strings.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The modules below one folder.
pub struct Modules {
    files: BTreeMap<String, PathBuf>,
}

impl Modules {
    /// Finds every module under `folder` (a `/lib/modules/VERSION`).
    pub fn below(folder: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        collect(folder, &mut files)?;
        Ok(Self { files })
    }

    /// `wanted` and all that they need, each after what it needs: `(name, content)`.
    ///
    /// Fails when one is not there as a module.
    pub fn in_load_order(&self, wanted: &[&str]) -> Result<Vec<(String, Vec<u8>)>> {
        let mut order = Vec::new();
        let mut seen = BTreeSet::new();
        for name in wanted {
            self.visit(name, &mut seen, &mut order)?;
        }
        Ok(order)
    }

    fn visit(
        &self,
        name: &str,
        seen: &mut BTreeSet<String>,
        order: &mut Vec<(String, Vec<u8>)>,
    ) -> Result<()> {
        if !seen.insert(name.to_owned()) {
            return Ok(());
        }
        let path = self
            .files
            .get(name)
            .with_context(|| format!("the kernel has no module {name}"))?;
        let content = fs::read(path).with_context(|| format!("{}", path.display()))?;
        for needed in needs(&content) {
            self.visit(&needed, seen, order)?;
        }
        order.push((name.to_owned(), content));
        Ok(())
    }
}

/// File names use `-` and `_` as it pleased their authors; the kernel knows `_` only.
fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

fn needs(module: &[u8]) -> Vec<String> {
    module
        .split(|byte| *byte == 0)
        .find_map(|text| text.strip_prefix(b"depends="))
        .and_then(|list| std::str::from_utf8(list).ok())
        .map(|list| {
            list.split(',')
                .filter(|name| !name.is_empty())
                .map(canonical)
                .collect()
        })
        .unwrap_or_default()
}

fn collect(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() && !path.is_symlink() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "ko")
            && let Some(name) = path.file_stem().and_then(|name| name.to_str())
        {
            files.insert(canonical(name), path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(modules: &[(&str, &str)]) -> (tempfile::TempDir, Modules) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("drivers")).unwrap();
        for (name, depends) in modules {
            let content = format!("\x7fELF\0license=GPL\0depends={depends}\0retpoline=Y\0");
            fs::write(folder.path().join(format!("drivers/{name}.ko")), content).unwrap();
        }
        let found = Modules::below(folder.path()).unwrap();
        (folder, found)
    }

    fn names(modules: &Modules, wanted: &[&str]) -> Vec<String> {
        modules
            .in_load_order(wanted)
            .unwrap()
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn needed_modules_come_first_and_once() {
        let (_folder, modules) = kernel(&[
            ("virtio_net", "virtio,net_failover"),
            ("virtio-rng", "virtio"),
            ("virtio", "virtio_ring"),
            ("virtio_ring", ""),
            ("net_failover", "failover"),
            ("failover", ""),
            ("unused", ""),
        ]);
        assert_eq!(
            names(&modules, &["virtio_net", "virtio_rng"]),
            [
                "virtio_ring",
                "virtio",
                "failover",
                "net_failover",
                "virtio_net",
                "virtio_rng"
            ]
        );
    }

    #[test]
    fn a_cycle_ends_and_a_missing_module_is_named() {
        let (_folder, modules) = kernel(&[("a", "b"), ("b", "a"), ("c", "gone")]);
        assert_eq!(names(&modules, &["a"]), ["b", "a"]);
        let error = modules.in_load_order(&["c"]).unwrap_err();
        assert!(error.to_string().contains("gone"));
    }
}
