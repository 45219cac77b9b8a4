//! From a file's name to the image's name: the stem as a DNS label, unique in the library.

use std::collections::HashSet;

use kinglet_model::Name;

use crate::path::shown;

/// Endings that say what a file is, which a name need not repeat.
const EXTENSIONS: [&str; 21] = [
    "qcow2", "qcow", "raw", "img", "vmdk", "vhd", "vhdx", "vpc", "iso", "erofs", "squashfs",
    "sqfs", "bin", "gz", "xz", "zst", "zstd", "dd", "disk", "cpio", "efi",
];

/// The name that a file of this name should have: `debian-12.qcow2.xz` → `debian-12`.
pub(crate) fn image_name(file_name: &[u8]) -> Name {
    let text = shown(file_name);
    let mut stem = text.as_str();
    while let Some((rest, extension)) = stem.rsplit_once('.') {
        let known = EXTENSIONS
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known));
        if !known || rest.is_empty() {
            break;
        }
        stem = rest;
    }
    Name::from_lossy(stem, "image")
}

/// The names that are taken. Only this library gives names to images.
#[derive(Debug, Default)]
pub(crate) struct Names(HashSet<Name>);

impl Names {
    /// Marks a name as taken.
    pub(crate) fn take(&mut self, name: Name) {
        self.0.insert(name);
    }

    /// Whether somebody has it.
    pub(crate) fn is_taken(&self, name: &Name) -> bool {
        self.0.contains(name)
    }

    /// Frees a name.
    pub(crate) fn free(&mut self, name: &Name) {
        self.0.remove(name);
    }

    /// Takes the wanted name, or the first numbered one that is free.
    pub(crate) fn reserve(&mut self, wanted: Name) -> Name {
        if self.0.insert(wanted.clone()) {
            return wanted;
        }
        // Doubling steps find a free number quickly when thousands of files want one name.
        let (mut low, mut high) = (1_u32, 2_u32);
        while self.0.contains(&wanted.numbered(high)) && high < u32::MAX / 2 {
            (low, high) = (high, high * 2);
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.0.contains(&wanted.numbered(middle)) {
                low = middle;
            } else {
                high = middle;
            }
        }
        let name = wanted.numbered(high);
        self.0.insert(name.clone());
        name
    }

    /// Whether `current` is what [`Self::reserve`] could have given for `wanted`.
    pub(crate) fn fits(current: &Name, wanted: &Name) -> bool {
        current == wanted
            || current
                .as_str()
                .rsplit_once('-')
                .and_then(|(_, number)| number.parse().ok())
                .is_some_and(|number| wanted.numbered(number) == *current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_is_the_stem_without_known_extensions() {
        for (file, name) in [
            ("debian-12.qcow2.xz", "debian-12"),
            ("Win 10 (x64).ISO", "win-10-x64"),
            ("ubuntu-24.04-server.img", "ubuntu-24-04-server"),
            ("vmlinuz-6.1.0-18-amd64", "vmlinuz-6-1-0-18-amd64"),
            ("initrd.img-6.1", "initrd-img-6-1"),
            (".img", "img"),
            ("麒麟.iso", "image"),
        ] {
            assert_eq!(image_name(file.as_bytes()).as_str(), name, "{file}");
        }
    }

    #[test]
    fn clash_is_numbered_and_every_name_is_unique() {
        let mut names = Names::default();
        let wanted: Name = "disk".parse().unwrap();
        let mut seen = HashSet::new();
        for _ in 0..2000 {
            let name = names.reserve(wanted.clone());
            assert!(Names::fits(&name, &wanted));
            assert!(seen.insert(name));
        }
        names.free(&wanted);
        assert_eq!(names.reserve(wanted.clone()), wanted);
        assert!(!Names::fits(&"disk-x".parse().unwrap(), &wanted));
    }
}
