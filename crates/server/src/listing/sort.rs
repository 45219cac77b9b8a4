//! In which order a list is.

use std::str::FromStr;

use kinglet_model::Id;
use serde::{Deserialize, Serialize};

use super::Listed;
use crate::problem::Refused;

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SortBy {
    /// The name.
    Name,
    /// The id, which is the order of creation and that of the registry.
    Created,
    /// [`Listed::size`].
    Size,
}

/// What is compared, and in which direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sort {
    pub by: SortBy,
    pub descending: bool,
}

/// Where an object stands in a list: its key, and its id among those with the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    pub key: SortKey,
    pub id: Id,
}

/// What was compared. One list has keys of one kind only.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SortKey {
    None,
    Number(u64),
    Text(String),
}

impl Sort {
    pub fn place(self, object: &impl Listed) -> Place {
        let key = match self.by {
            SortBy::Name => SortKey::Text(object.name().to_string()),
            SortBy::Created => SortKey::None,
            SortBy::Size => SortKey::Number(object.size()),
        };
        Place {
            key,
            id: object.id(),
        }
    }
}

impl FromStr for Sort {
    type Err = Refused;

    fn from_str(text: &str) -> Result<Self, Refused> {
        let (descending, by) = text
            .strip_prefix('-')
            .map_or((false, text), |by| (true, by));
        let by = match by {
            "name" => SortBy::Name,
            "created" => SortBy::Created,
            "size" => SortBy::Size,
            _ => {
                let detail = "sort is one of name, created and size, with - in front for the \
                              other way round.";
                return Err(Refused::invalid("sort-invalid", detail));
            }
        };
        Ok(Self { by, descending })
    }
}
