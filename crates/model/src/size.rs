//! Amounts of bytes as people write and read them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};
use thiserror::Error;
use utoipa::ToSchema;

const UNITS: [(&str, u64); 5] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// An amount of bytes.
///
/// Written `512M`, `1.5G`, `2GiB`, `4096`: units are binary whatever their spelling, as everywhere in
/// virtualisation. In JSON it is a whole number of bytes; a text in the form above is accepted too.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, ToSchema,
)]
#[serde(transparent)]
#[schema(value_type = u64, example = 536_870_912)]
pub struct Size(pub u64);

/// Why a text is not a [`Size`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SizeError {
    /// Not a number with an optional unit.
    #[error("{0:?} is not a size; write for example 512M, 1.5G or 2GiB")]
    Form(String),
    /// Does not fit 64 bits.
    #[error("{0:?} is larger than any disk")]
    TooLarge(String),
    /// A part of a byte.
    #[error("{0:?} is not a whole number of bytes")]
    Fraction(String),
}

impl Size {
    /// `n` mebibytes.
    #[must_use]
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    /// `n` gibibytes.
    #[must_use]
    pub const fn gib(n: u64) -> Self {
        Self(n << 30)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = || SizeError::Form(text.chars().take(40).collect());
        let trimmed = text.trim();
        let split = trimmed
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(split);
        let shift = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 10,
            "m" | "mb" | "mib" => 20,
            "g" | "gb" | "gib" => 30,
            "t" | "tb" | "tib" => 40,
            _ => return Err(form()),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || (number.contains('.') && fraction.is_empty()) || fraction.len() > 9 {
            return Err(form());
        }
        if !fraction.bytes().all(|b| b.is_ascii_digit()) {
            return Err(form());
        }
        let too_large = || SizeError::TooLarge(text.chars().take(40).collect());
        let whole: u128 = whole.parse().map_err(|_| too_large())?;
        let whole_bytes = whole.checked_mul(1 << shift).ok_or_else(too_large)?;
        let scale = 10u128.pow(u32::try_from(fraction.len()).map_err(|_| form())?);
        let part: u128 = if fraction.is_empty() {
            0
        } else {
            fraction.parse().map_err(|_| form())?
        };
        let part_bytes = part << shift;
        if shift == 0 && part != 0 {
            return Err(SizeError::Fraction(text.to_owned()));
        }
        let total = whole_bytes
            .checked_add(part_bytes / scale)
            .ok_or_else(too_large)?;
        u64::try_from(total).map(Self).map_err(|_| too_large())
    }
}

impl fmt::Display for Size {
    /// Binary units with one decimal: `1.5 GiB`, `512 MiB`, `17 B`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, scale) = UNITS
            .iter()
            .find(|(_, scale)| self.0 >= *scale)
            .copied()
            .unwrap_or(("B", 1));
        let text = if self.0.is_multiple_of(scale) {
            format!("{} {unit}", self.0 / scale)
        } else {
            // Cutting, not rounding: what is shown is never more than what is there.
            let tenths = u128::from(self.0) * 10 / u128::from(scale);
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        };
        f.pad(&text)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes or a text such as \"1.5GiB\"")
            }

            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<Size, E> {
                Ok(Size(bytes))
            }

            fn visit_i64<E: de::Error>(self, bytes: i64) -> Result<Size, E> {
                u64::try_from(bytes)
                    .map(Size)
                    .map_err(|_| E::custom(format!("a size cannot be negative ({bytes})")))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Size, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn size_reads_what_people_write() {
        for (text, bytes) in [
            ("512M", 512 << 20),
            ("1.5G", 3 << 29),
            ("2GiB", 2 << 30),
            ("2 gib", 2 << 30),
            ("4096", 4096),
            ("10kb", 10 << 10),
            ("0", 0),
            ("1T", 1 << 40),
        ] {
            assert_eq!(text.parse::<Size>(), Ok(Size(bytes)), "{text}");
        }
        for text in [
            "", "G", "-1G", "1..5G", "1.G", ".5G", "1X", "1e3", "0x10", "١G",
        ] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
        assert!(matches!(
            "99999999999T".parse::<Size>(),
            Err(SizeError::TooLarge(_))
        ));
        assert!(matches!("1.5".parse::<Size>(), Err(SizeError::Fraction(_))));
    }

    #[test]
    fn size_shows_one_decimal_and_never_more_than_there_is() {
        assert_eq!(Size(3 << 29).to_string(), "1.5 GiB");
        assert_eq!(Size((2 << 30) - 1).to_string(), "1.9 GiB");
        assert_eq!(Size(512 << 20).to_string(), "512 MiB");
        assert_eq!(Size(0).to_string(), "0 B");
        assert_eq!(Size(u64::MAX).to_string(), "16777215.9 TiB");
    }

    proptest! {
        #[test]
        fn size_never_panics(text in ".{0,40}") { let _ = text.parse::<Size>(); }

        #[test]
        fn size_survives_json(bytes: u64) {
            let json = serde_json::to_string(&Size(bytes)).unwrap();
            prop_assert_eq!(serde_json::from_str::<Size>(&json).unwrap(), Size(bytes));
        }
    }
}
