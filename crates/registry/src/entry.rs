//! What the registry holds: keys, entries, ranges of keys, and pages of entries.

use std::fmt;

use bytes::Bytes;
use kinglet_model::Revision;

/// The longest key in bytes.
pub const MAX_KEY_LEN: usize = 1024;

/// The largest value in bytes (1 MiB). Bulk data belongs in files, the registry holds objects.
pub const MAX_VALUE_LEN: usize = 1 << 20;

/// The name of an entry: a path such as `/vms/0195…`. Keys are ordered by their bytes.
///
/// Any string can be wrapped; a transaction refuses one that is empty, longer than
/// [`MAX_KEY_LEN`] or contains a control character.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(String);

impl Key {
    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Key {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Key {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&Key> for Key {
    fn from(key: &Key) -> Self {
        key.clone()
    }
}

/// Names a lease. Numbers are never used again, not even after a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub u64);

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One key with its value and its history in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// The value as it was put. Empty in the event of a deletion.
    pub value: Bytes,
    /// The revision that created the key (after its last deletion, if it was deleted before).
    pub created: Revision,
    /// The revision of the last change. What [`crate::Expect::Revision`] compares.
    pub modified: Revision,
    /// How many times the key was put since it was created, from 1. In the event of a deletion 0.
    pub version: u64,
    /// The lease that keeps the key alive, if any.
    pub lease: Option<LeaseId>,
}

/// A set of neighbouring keys: from `start` (included) up to `end` (excluded; `None`: to the last).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRange {
    pub(crate) start: String,
    pub(crate) end: Option<String>,
}

impl KeyRange {
    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self {
            start: String::new(),
            end: None,
        }
    }

    /// Every key that begins with `prefix`; an empty prefix is every key.
    #[must_use]
    pub fn prefix(prefix: &str) -> Self {
        Self {
            start: prefix.to_owned(),
            end: next_after_prefix(prefix),
        }
    }

    /// The keys from `start` (included) up to `end` (excluded).
    #[must_use]
    pub fn between(start: &str, end: &str) -> Self {
        Self {
            start: start.to_owned(),
            end: Some(end.to_owned()),
        }
    }

    /// Whether the key lies in the range.
    #[must_use]
    pub fn contains(&self, key: &str) -> bool {
        key >= self.start.as_str() && self.end.as_deref().is_none_or(|end| key < end)
    }
}

impl From<&str> for KeyRange {
    fn from(prefix: &str) -> Self {
        Self::prefix(prefix)
    }
}

impl From<String> for KeyRange {
    fn from(prefix: String) -> Self {
        Self::prefix(&prefix)
    }
}

/// The first string that sorts after everything beginning with `prefix`: its last character that
/// has a successor is raised, what follows is cut. UTF-8 sorts as its code points do.
fn next_after_prefix(prefix: &str) -> Option<String> {
    let mut rest = prefix.to_owned();
    while let Some(last) = rest.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            rest.push(next);
            return Some(rest);
        }
    }
    None
}

/// A part of a range, in the order of the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The entries. To read on, pass the last key as `after`.
    pub entries: Vec<Entry>,
    /// The registry's revision when this page was read. Watching from the one after the first
    /// page's revision misses nothing of what changed while the later pages were read.
    pub revision: Revision,
    /// Whether the range holds more entries after these.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_range_holds_exactly_what_begins_with_it() {
        let range = KeyRange::prefix("/vms/");
        assert!(range.contains("/vms/") && range.contains("/vms/\u{10ffff}"));
        assert!(!range.contains("/vms") && !range.contains("/vms0"));
        assert!(KeyRange::prefix("").contains("anything"));
        let last = KeyRange::prefix("a\u{10ffff}");
        assert!(last.contains("a\u{10ffff}b") && !last.contains("b"));
    }

    #[test]
    fn prefix_range_steps_over_the_surrogates() {
        let range = KeyRange::prefix("\u{d7ff}");
        assert!(range.contains("\u{d7ff}x") && !range.contains("\u{e000}"));
    }
}
