//! A transaction: what must hold, and what then changes, all of it or nothing, as one revision.

use std::collections::BTreeSet;

use bytes::Bytes;
use kinglet_model::Revision;

use crate::{
    entry::{Entry, Key, LeaseId, MAX_KEY_LEN, MAX_VALUE_LEN},
    error::RegistryError,
};

/// The most requirements, and the most changes, of one transaction.
pub const MAX_TXN_OPS: usize = 4096;

/// The most bytes of values in one transaction (8 MiB).
pub const MAX_TXN_BYTES: usize = 8 << 20;

/// What a key must be for a transaction to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The key must not exist.
    Absent,
    /// The key must exist.
    Exists,
    /// The key must exist, last changed at this revision.
    Revision(Revision),
    /// The key must exist with exactly this value.
    Value(Bytes),
}

impl Expect {
    /// Whether the entry found (or its absence) is what is expected.
    #[must_use]
    pub fn holds(&self, found: Option<&Entry>) -> bool {
        match (self, found) {
            (Self::Absent, found) => found.is_none(),
            (_, None) => false,
            (Self::Exists, Some(_)) => true,
            (Self::Revision(revision), Some(entry)) => entry.modified == *revision,
            (Self::Value(value), Some(entry)) => entry.value == *value,
        }
    }
}

/// One change of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Create or replace the value; a key put without a lease loses the one it had.
    Put {
        /// The new value.
        value: Bytes,
        /// The lease that keeps the key alive from now on.
        lease: Option<LeaseId>,
    },
    /// Delete the key; an absent one stays absent without an event.
    Delete,
}

/// A transaction being put together.
///
/// All requirements are checked against the state before the transaction. When nothing changes
/// (no changes, or only deletions of absent keys) no new revision is made.
#[derive(Clone, Debug, Default)]
#[must_use = "a transaction does nothing until it is given to the registry"]
pub struct Txn {
    pub(crate) requirements: Vec<(Key, Expect)>,
    pub(crate) changes: Vec<(Key, Change)>,
    fault: Option<RegistryError>,
}

impl Txn {
    /// A transaction without requirements and changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Make the transaction only if the key is as expected.
    pub fn require(mut self, key: impl Into<Key>, expect: Expect) -> Self {
        self.requirements.push((key.into(), expect));
        self
    }

    /// Create the key or replace its value.
    pub fn put(self, key: impl Into<Key>, value: impl Into<Bytes>) -> Self {
        self.change(
            key,
            Change::Put {
                value: value.into(),
                lease: None,
            },
        )
    }

    /// Create the key or replace its value; it is deleted when the lease ends.
    pub fn put_with_lease(
        self,
        key: impl Into<Key>,
        value: impl Into<Bytes>,
        lease: LeaseId,
    ) -> Self {
        self.change(
            key,
            Change::Put {
                value: value.into(),
                lease: Some(lease),
            },
        )
    }

    /// Delete the key if it exists.
    pub fn delete(self, key: impl Into<Key>) -> Self {
        self.change(key, Change::Delete)
    }

    /// Append all requirements and changes of another transaction, so that both happen together.
    pub fn and(mut self, other: Self) -> Self {
        self.requirements.extend(other.requirements);
        self.changes.extend(other.changes);
        self.fault = self.fault.or(other.fault);
        self
    }

    /// Whether the transaction changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Makes the transaction fail with this error, for builders that cannot return one.
    pub(crate) fn spoil(mut self, fault: RegistryError) -> Self {
        self.fault = Some(fault);
        self
    }

    fn change(mut self, key: impl Into<Key>, change: Change) -> Self {
        self.changes.push((key.into(), change));
        self
    }

    /// Checks everything that does not depend on the registry's content, once for all backends.
    pub(crate) fn check(&self) -> Result<(), RegistryError> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        check_size("transaction (operations)", self.changes.len(), MAX_TXN_OPS)?;
        check_size(
            "transaction (requirements)",
            self.requirements.len(),
            MAX_TXN_OPS,
        )?;
        let mut bytes = 0_usize;
        let mut seen = BTreeSet::new();
        for (key, change) in &self.changes {
            check_key(key)?;
            if !seen.insert(key) {
                return Err(RegistryError::KeyTwice(key.clone()));
            }
            if let Change::Put { value, .. } = change {
                check_size(
                    &format!("value of {key} (bytes)"),
                    value.len(),
                    MAX_VALUE_LEN,
                )?;
                bytes = bytes.saturating_add(value.len());
            }
        }
        check_size("transaction (bytes)", bytes, MAX_TXN_BYTES)?;
        self.requirements
            .iter()
            .try_for_each(|(key, _)| check_key(key))
    }
}

/// The proof that a transaction is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The revision of the transaction; the current one if it changed nothing.
    pub revision: Revision,
}

fn check_size(what: &str, size: usize, limit: usize) -> Result<(), RegistryError> {
    if size <= limit {
        return Ok(());
    }
    Err(RegistryError::TooLarge {
        what: what.to_owned(),
        size,
        limit,
    })
}

fn check_key(key: &Key) -> Result<(), RegistryError> {
    let text = key.as_str();
    let reason = if text.is_empty() {
        "it is empty"
    } else if text.len() > MAX_KEY_LEN {
        "it is longer than 1024 bytes"
    } else if text.chars().any(char::is_control) {
        "it contains a control character"
    } else {
        return Ok(());
    };
    Err(RegistryError::BadKey {
        key: text.chars().take(64).collect(),
        reason,
    })
}
