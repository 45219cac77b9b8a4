//! The path of a swap file, and the two names that it may have there.

use std::fmt;
use std::path::{Component, Path, PathBuf};

use thiserror::Error;

/// The longest file name; leaves room for the ending of the second one and of a temporary one.
const LONGEST_NAME: usize = 180;
/// The longest path.
const LONGEST_PATH: usize = 2048;
/// What the second name ends in.
const SECOND: &str = ".2";

/// An absolute path of printable text without `.`, `..`, backslashes or quotes, fit for the kernel,
/// for `fstab` and for a systemd unit.
///
/// A swap file that is on can be neither renamed nor replaced, and a resize must have the new one on
/// before the old one goes off. So a place has two names, the path itself and the path with `.2`, and
/// the file changes between them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SwapPath(String);

/// Why a text is not the path of a swap file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} cannot be the path of a swap file: {why}")]
pub struct PathError {
    /// The text, cut.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl SwapPath {
    /// Reads a path.
    ///
    /// # Errors
    /// Why it cannot be one.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        match Self::fault(text) {
            None => Ok(Self(text.to_owned())),
            Some(why) => Err(PathError {
                text: text.chars().take(80).collect(),
                why,
            }),
        }
    }

    fn fault(text: &str) -> Option<&'static str> {
        let path = Path::new(text);
        let plain = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
        if !text.starts_with('/') {
            return Some("it must begin with /");
        }
        if text.ends_with('/') || text.contains("//") || text.split('/').any(|part| part == ".") {
            return Some("it must name a file, without empty parts");
        }
        if !path.components().all(plain) {
            return Some("it must not contain ..");
        }
        if text.len() > LONGEST_PATH || Self::name_of(text).len() > LONGEST_NAME {
            return Some("it is too long");
        }
        if text
            .chars()
            .any(|c| c.is_control() || matches!(c, '\\' | '"' | '\'' | '\u{fffd}'))
        {
            return Some("it contains a control character, a backslash or a quote");
        }
        if text.split('/').any(|part| part.trim() != part) {
            return Some("a part of it begins or ends with a blank");
        }
        if Self::name_of(text).ends_with(SECOND) || Self::name_of(text).starts_with(".kinglet-") {
            return Some("names that end in .2 or begin with .kinglet- are Kinglet's own");
        }
        None
    }

    fn name_of(text: &str) -> &str {
        text.rsplit('/').next().unwrap_or(text)
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The file's name.
    #[must_use]
    pub fn name(&self) -> &str {
        Self::name_of(&self.0)
    }

    /// The folder that it lies in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        Path::new(&self.0).parent().unwrap_or(Path::new("/"))
    }

    /// The same name in another folder, for a folder that was reached through a symbolic link.
    pub(crate) fn in_folder(&self, folder: &Path) -> Result<Self, PathError> {
        let moved = folder.join(self.name());
        Self::parse(&moved.to_string_lossy())
    }

    /// Both files that this place can have.
    #[must_use]
    pub fn slots(&self) -> [Slot; 2] {
        [Slot(self.0.clone()), Slot(format!("{}{SECOND}", self.0))]
    }
}

impl fmt::Display for SwapPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One of the two files of a place: `/data/swapfile` or `/data/swapfile.2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(String);

impl Slot {
    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path as the system takes it.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }

    /// The file's name.
    #[must_use]
    pub fn name(&self) -> &str {
        SwapPath::name_of(&self.0)
    }

    /// The folder that it lies in.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.as_path()
            .parent()
            .map_or_else(|| PathBuf::from("/"), Path::to_owned)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_that_could_be_misread_are_refused() {
        for text in [
            "",
            "swap",
            "/",
            "/a/",
            "/a/../b",
            "/a/./b",
            "//a",
            "/a\n/b",
            "/a\\040b",
            "/a\"b",
            "/a /b",
            "/a/b.2",
            "/a/.kinglet-x",
            "/a/\u{0}",
        ] {
            assert!(SwapPath::parse(text).is_err(), "{text:?}");
        }
        let long = format!("/{}", "a".repeat(181));
        assert!(SwapPath::parse(&long).is_err());
        for text in ["/swapfile", "/data/my swap", "/mnt/größe/swap-1"] {
            assert!(SwapPath::parse(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn place_has_two_files() {
        let path = SwapPath::parse("/data/swapfile").unwrap();
        let [first, second] = path.slots();
        assert_eq!(first.as_str(), "/data/swapfile");
        assert_eq!(second.name(), "swapfile.2");
        assert_eq!(second.folder(), Path::new("/data"));
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in ".{0,80}") { let _ = SwapPath::parse(&text); }
    }
}
