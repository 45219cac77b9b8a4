//! Where a client stands in the log: the event stream's ids.

use std::fmt;
use std::str::FromStr;

use kinglet_model::Revision;

/// `41`: everything up to revision 41 was sent. `42.3`: and three events of revision 42.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub revision: Revision,
    /// How many events of the revision were sent; `None`: all.
    sent: Option<usize>,
}

impl Position {
    /// Everything up to the revision was sent.
    pub const fn after(revision: Revision) -> Self {
        Self {
            revision,
            sent: None,
        }
    }

    /// So many events of the revision were sent.
    pub const fn within(revision: Revision, sent: usize) -> Self {
        Self {
            revision,
            sent: Some(sent),
        }
    }

    /// The first revision that is still owed.
    pub const fn watch_from(self) -> Revision {
        match self.sent {
            Some(_) => self.revision,
            None => Revision(self.revision.0.saturating_add(1)),
        }
    }

    /// How many events of the revision were sent.
    pub fn sent_of(self, revision: Revision) -> usize {
        self.sent.filter(|_| self.revision == revision).unwrap_or(0)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.revision.fmt(f)?;
        self.sent.map_or(Ok(()), |sent| write!(f, ".{sent}"))
    }
}

impl FromStr for Position {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('.') {
            Some((revision, sent)) => Ok(Self::within(revision.parse()?, sent.parse()?)),
            None => Ok(Self::after(text.parse()?)),
        }
    }
}
