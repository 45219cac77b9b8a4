//! How uploads are set up.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long an upload is kept after its last byte when nothing is said.
const LIFETIME: Duration = Duration::from_secs(7 * 24 * 3600);

/// How long a client may send nothing before its request is ended; it can go on with another.
const PATIENCE: Duration = Duration::from_secs(60);

/// How uploads are kept.
#[derive(Clone)]
pub struct UploadsConfig {
    /// How long an unfinished upload is kept after its last byte.
    pub lifetime: Duration,
    /// How long a client may send nothing.
    pub patience: Duration,
    /// The clock by which uploads expire.
    pub clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

impl UploadsConfig {
    /// Seconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        (self.clock)()
            .duration_since(SystemTime::UNIX_EPOCH)
            .map_or(0, |since| since.as_secs())
    }
}

impl Default for UploadsConfig {
    fn default() -> Self {
        Self {
            lifetime: LIFETIME,
            patience: PATIENCE,
            clock: Arc::new(SystemTime::now),
        }
    }
}

impl fmt::Debug for UploadsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UploadsConfig")
            .field("lifetime", &self.lifetime)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}
