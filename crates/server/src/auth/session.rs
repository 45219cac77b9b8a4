//! Browsers that are signed in. Sessions lie in the registry under the hash of their secret, so that
//! they survive a restart and the database gives none away; each hangs on a lease, which ends it
//! when it was not used for long, without anybody sweeping.

use std::time::Duration;

use jiff::Timestamp;
use kinglet_registry::{Entry, Expect, Key, Registry, RegistryError, Txn, TxnError};

use super::secret::{self, Hashed};

const PREFIX: &str = "/sessions/";

/// How many browsers are signed in at most; one more signs the oldest out.
const MAX_SESSIONS: u64 = 32;

/// The sessions.
pub struct Sessions {
    registry: Registry,
    time: Duration,
}

impl Sessions {
    /// Sessions that end when they were not used for `time`.
    pub const fn new(registry: Registry, time: Duration) -> Self {
        Self { registry, time }
    }

    /// After how long without a request a session ends.
    pub const fn time(&self) -> Duration {
        self.time
    }

    /// Signs a browser in: its secret.
    pub async fn open(&self) -> Result<String, TxnError> {
        self.make_room().await?;
        let secret = secret::generate();
        let lease = self.registry.grant(self.time).await?;
        let key = key(&secret);
        let value = Timestamp::now().to_string().into_bytes();
        let txn = Txn::new()
            .require(&key, Expect::Absent)
            .put_with_lease(&key, value, lease);
        self.registry.txn(txn).await?;
        Ok(secret)
    }

    /// Whether a browser with this secret is signed in; its time starts anew.
    pub async fn renew(&self, secret: &str) -> Result<bool, RegistryError> {
        let Some(entry) = self.registry.get(key(secret)).await? else {
            return Ok(false);
        };
        let Some(lease) = entry.lease else {
            return Ok(false);
        };
        match self.registry.keep_alive(lease).await {
            Ok(()) => Ok(true),
            Err(RegistryError::NoLease(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Signs a browser out.
    pub async fn close(&self, secret: &str) -> Result<(), RegistryError> {
        match self.registry.get(key(secret)).await? {
            Some(entry) => self.end(&entry).await,
            None => Ok(()),
        }
    }

    async fn make_room(&self) -> Result<(), RegistryError> {
        if self.registry.count(PREFIX).await? < MAX_SESSIONS {
            return Ok(());
        }
        let page = self.registry.range(PREFIX, None, usize::MAX).await?;
        match page.entries.iter().min_by_key(|entry| entry.created) {
            Some(oldest) => self.end(oldest).await,
            None => Ok(()),
        }
    }

    async fn end(&self, entry: &Entry) -> Result<(), RegistryError> {
        let Some(lease) = entry.lease else {
            return Ok(());
        };
        match self.registry.revoke(lease).await {
            Ok(()) | Err(RegistryError::NoLease(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn key(secret: &str) -> Key {
    Key::from(format!("{PREFIX}{}", Hashed::of(secret).to_hex()))
}
