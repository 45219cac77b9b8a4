//! Lists: what to ask for, and what comes back.

use kinglet_model::Revision;

use crate::transport::encoded;

/// Which part of a list, in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOptions {
    /// At most so many objects, from 1 to 1000. The server's default is 1000.
    pub limit: Option<u32>,
    /// Where to go on, from [`Listing::next`].
    pub cursor: Option<String>,
    /// `name`, `created` or `size`, with `-` in front for the other direction.
    pub sort: Option<String>,
    /// `name~TEXT`, `phase=PHASE`, `label.KEY=VALUE`, with commas between.
    pub filter: Option<String>,
}

/// A part of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing<T> {
    /// The objects.
    pub items: Vec<T>,
    /// Where the next part begins; `None` when this was the last.
    pub next: Option<String>,
    /// The registry's revision when the list was read: follow the events from there.
    pub revision: Revision,
}

impl ListOptions {
    pub(crate) fn query(&self) -> String {
        let limit = self.limit.map(|limit| limit.to_string());
        let pairs = [
            ("limit", limit.as_ref()),
            ("cursor", self.cursor.as_ref()),
            ("sort", self.sort.as_ref()),
            ("filter", self.filter.as_ref()),
        ];
        let given = pairs
            .iter()
            .filter_map(|(name, value)| value.map(|value| (name, value)));
        let query: Vec<String> = given
            .map(|(name, value)| format!("{name}={}", encoded(value)))
            .collect();
        if query.is_empty() {
            String::new()
        } else {
            format!("?{}", query.join("&"))
        }
    }
}
