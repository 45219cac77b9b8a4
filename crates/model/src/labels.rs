//! Labels: free marks that people and tools put on what they make. Bounded, because they are stored
//! with each revision of an object and sent with every list.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};
use thiserror::Error;
use utoipa::ToSchema;

/// How many labels an object has at most.
pub const MAX_LABELS: usize = 64;

/// The longest key, in characters.
pub const MAX_KEY: usize = 63;

/// The longest value, in characters.
pub const MAX_VALUE: usize = 255;

/// A label's key, as the API describes it.
#[derive(Debug, ToSchema)]
#[schema(pattern = "^[A-Za-z0-9._/-]{1,63}$", example = "team")]
pub struct LabelKey(#[allow(dead_code)] String);

/// A label's value, as the API describes it: text without control characters.
#[derive(Debug, ToSchema)]
#[schema(max_length = 255, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*$")]
pub struct LabelValue(#[allow(dead_code)] String);

/// Why labels are refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LabelError {
    /// More than [`MAX_LABELS`].
    #[error("there are {0} labels; at most {MAX_LABELS} are possible")]
    TooMany(usize),
    /// A key that a filter could not name.
    #[error(
        "the label {0:?} is not possible; use 1 to {MAX_KEY} letters, digits and '.', '_', '/' or '-'"
    )]
    Key(String),
    /// A value that is too long or has control characters in it.
    #[error(
        "the value of the label {0} is not possible; use at most {MAX_VALUE} characters, none of them a control character"
    )]
    Value(String),
}

/// Whether an object can have these labels.
///
/// # Errors
/// Too many, or one of them has a key or value that is not possible.
pub fn check(labels: &BTreeMap<String, String>) -> Result<(), LabelError> {
    if labels.len() > MAX_LABELS {
        return Err(LabelError::TooMany(labels.len()));
    }
    for (key, value) in labels {
        if !is_key(key) {
            return Err(LabelError::Key(key.chars().take(MAX_KEY).collect()));
        }
        if value.chars().count() > MAX_VALUE || value.chars().any(char::is_control) {
            return Err(LabelError::Value(key.clone()));
        }
    }
    Ok(())
}

fn is_key(key: &str) -> bool {
    let possible = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
    (1..=MAX_KEY).contains(&key.len()) && key.bytes().all(possible)
}

/// Reads labels that came from outside; for `deserialize_with`.
pub(crate) fn bounded<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    let labels = BTreeMap::deserialize(deserializer)?;
    check(&labels).map_err(de::Error::custom)?;
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::NewVm;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    #[test]
    fn ordinary_labels_pass() {
        let pairs = [("team", "Größe 1, rot=grün"), ("example.org/role_2", "")];
        assert_eq!(check(&labels(&pairs)), Ok(()));
        assert_eq!(check(&labels(&[("a", &"é".repeat(MAX_VALUE))])), Ok(()));
    }

    #[test]
    fn labels_beyond_a_bound_are_refused() {
        let long = "k".repeat(MAX_KEY + 1);
        for key in ["", "a b", "a=b", "a,b", "\n", "é", &long] {
            assert!(matches!(
                check(&labels(&[(key, "v")])),
                Err(LabelError::Key(_))
            ));
        }
        for value in ["\u{1b}[31m", "a\nb", &"v".repeat(MAX_VALUE + 1)] {
            assert!(matches!(
                check(&labels(&[("a", value)])),
                Err(LabelError::Value(_))
            ));
        }
        let many = (0..=MAX_LABELS).map(|n| (format!("k{n}"), String::new()));
        assert_eq!(
            check(&many.collect()),
            Err(LabelError::TooMany(MAX_LABELS + 1))
        );
    }

    #[test]
    fn body_with_impossible_labels_is_refused() {
        let body = |label: &str| format!(r#"{{"labels":{{"a":"{label}"}}}}"#);
        assert!(serde_json::from_str::<NewVm>(&body("b")).is_ok());
        let error = serde_json::from_str::<NewVm>(&body(&"b".repeat(1000))).unwrap_err();
        assert!(error.to_string().contains("label a"), "{error}");
    }
}
