//! What a file in a watched folder is to the library, told by its name alone: only to leave out what
//! cannot be an image. What an image is, is told by its content.

use crate::sums;
use crate::temporary::{Naming, naming};

/// Endings of what lies beside images: texts, signatures, descriptions, other digests, downloads'
/// control files.
const COMPANIONS: [&str; 30] = [
    "txt",
    "md",
    "json",
    "asc",
    "sig",
    "sign",
    "gpg",
    "pem",
    "pub",
    "log",
    "xml",
    "html",
    "htm",
    "yaml",
    "yml",
    "toml",
    "conf",
    "cfg",
    "ovf",
    "mf",
    "torrent",
    "aria2",
    "zsync",
    "manifest",
    "sha1",
    "sha512",
    "sha1sum",
    "sha512sum",
    "md5",
    "md5sum",
];

/// Whole names of such files, in any case.
const COMPANION_NAMES: [&str; 8] = [
    "readme",
    "license",
    "copying",
    "md5sums",
    "sha1sums",
    "sha512sums",
    "changelog",
    "makefile",
];

/// A file's part in the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind<'a> {
    /// An image under its own name.
    Image,
    /// An image on its way that will have this name.
    Temporary(&'a [u8]),
    /// A list of digests.
    Sums,
    /// Nothing to us.
    Ignored,
}

/// Judges a file's name.
pub(crate) fn kind(name: &[u8]) -> Kind<'_> {
    match naming(name) {
        Naming::Ignored => Kind::Ignored,
        Naming::Temporary(target) => match kind(target) {
            Kind::Image => Kind::Temporary(target),
            // Two endings (`.iso.part.tmp`): the innermost is the file's.
            Kind::Temporary(inner) => Kind::Temporary(inner),
            Kind::Sums | Kind::Ignored => Kind::Ignored,
        },
        Naming::Plain if sums::is_sums_file(name) => Kind::Sums,
        Naming::Plain if is_companion(name) => Kind::Ignored,
        Naming::Plain => Kind::Image,
    }
}

/// Whether a directory of this name is looked into.
pub(crate) fn is_entered(name: &[u8]) -> bool {
    name.first() != Some(&b'.') && name != b"lost+found"
}

fn is_companion(name: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(name) else {
        return false;
    };
    let ending = text.rsplit_once('.').map_or("", |(_, ending)| ending);
    COMPANIONS
        .iter()
        .any(|known| ending.eq_ignore_ascii_case(known))
        || COMPANION_NAMES
            .iter()
            .any(|known| text.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_leaves_out_only_what_cannot_be_an_image() {
        for (name, expected) in [
            ("debian.qcow2", Kind::Image),
            ("vmlinuz", Kind::Image),
            ("no-extension", Kind::Image),
            ("debian.iso.part", Kind::Temporary(b"debian.iso")),
            ("SHA256SUMS", Kind::Sums),
            ("debian.iso.sha256", Kind::Sums),
            (".SHA256SUMS.Ab3xYz", Kind::Ignored),
            ("README", Kind::Ignored),
            ("notes.TXT", Kind::Ignored),
            ("SHA256SUMS.asc", Kind::Ignored),
            (".hidden", Kind::Ignored),
        ] {
            assert_eq!(kind(name.as_bytes()), expected, "{name}");
        }
        assert_eq!(kind(b"\xff.txt"), Kind::Image);
    }
}
