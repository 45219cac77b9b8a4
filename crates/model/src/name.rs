//! Names that people give: DNS labels, so that they are safe in a URL, a host name and a file name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use utoipa::ToSchema;

/// The longest name, in bytes (RFC 1123, section 2.1).
pub const MAX_LEN: usize = 63;

/// A DNS label (RFC 1123): 1 to 63 of `a`–`z`, `0`–`9` and `-`, neither beginning nor ending with `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", max_length = 63, example = "debian-12")]
pub struct Name(String);

/// Why a text is not a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("the name is empty; use 1 to 63 of a-z, 0-9 and '-'")]
    Empty,
    /// More than [`MAX_LEN`] bytes.
    #[error("the name is {0} characters long; at most 63 are possible")]
    TooLong(usize),
    /// A character that a DNS label cannot have.
    #[error("the name has {0:?} in it; only a-z, 0-9 and '-' are possible")]
    Character(char),
    /// A hyphen at an end.
    #[error("the name begins or ends with '-'; begin and end it with a letter or a digit")]
    Hyphen,
}

impl Name {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest name to an arbitrary text such as a file's stem: lower case, every run of other
    /// characters one `-`, cut to 63 bytes. `fallback` where nothing is left.
    #[must_use]
    pub fn from_lossy(text: &str, fallback: &str) -> Self {
        let mut out = String::with_capacity(text.len().min(MAX_LEN));
        for c in text.chars().flat_map(char::to_lowercase) {
            if out.len() >= MAX_LEN {
                break;
            }
            if c.is_ascii_alphanumeric() {
                out.push(c);
            } else if !out.is_empty() && !out.ends_with('-') {
                out.push('-');
            }
        }
        let trimmed = out.trim_end_matches('-');
        if trimmed.is_empty() {
            fallback
                .parse()
                .unwrap_or_else(|_| Self("unnamed".to_owned()))
        } else {
            Self(trimmed.to_owned())
        }
    }

    /// This name with `-N` behind it, cut where it would be too long: `debian-12` → `debian-12-2`.
    #[must_use]
    pub fn numbered(&self, n: u32) -> Self {
        let suffix = format!("-{n}");
        let keep = self.0.len().min(MAX_LEN - suffix.len());
        Self(format!("{}{suffix}", self.0[..keep].trim_end_matches('-')))
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if let Some(bad) = text
            .chars()
            .find(|c| !(c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-'))
        {
            return Err(NameError::Character(bad));
        }
        if text.len() > MAX_LEN {
            return Err(NameError::TooLong(text.len()));
        }
        if text.starts_with('-') || text.ends_with('-') {
            return Err(NameError::Hyphen);
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn name_refuses_what_dns_refuses() {
        assert_eq!("".parse::<Name>(), Err(NameError::Empty));
        assert_eq!("../etc".parse::<Name>(), Err(NameError::Character('.')));
        assert_eq!("a\u{7}".parse::<Name>(), Err(NameError::Character('\u{7}')));
        assert_eq!("Debian".parse::<Name>(), Err(NameError::Character('D')));
        assert_eq!("-a".parse::<Name>(), Err(NameError::Hyphen));
        assert_eq!("a".repeat(64).parse::<Name>(), Err(NameError::TooLong(64)));
        assert!("a".repeat(63).parse::<Name>().is_ok());
    }

    #[test]
    fn lossy_name_keeps_what_a_person_would() {
        assert_eq!(
            Name::from_lossy("Win 10 (x64)", "image").as_str(),
            "win-10-x64"
        );
        assert_eq!(Name::from_lossy("麒麟", "image").as_str(), "image");
        assert_eq!(Name::from_lossy("__", "image").as_str(), "image");
    }

    proptest! {
        #[test]
        fn lossy_name_is_always_a_name(text in ".{0,200}", n in 2u32..100_000) {
            let name = Name::from_lossy(&text, "image");
            prop_assert_eq!(name.as_str().parse::<Name>(), Ok(name.clone()));
            let numbered = name.numbered(n);
            prop_assert!(numbered.as_str().parse::<Name>().is_ok());
            let suffix = format!("-{n}");
            prop_assert!(numbered.as_str().ends_with(&suffix));
        }
    }
}
