//! passt: user-mode networking for VMs that is faster and closer to the host's than slirp.

use std::path::PathBuf;

/// Where passt is.
#[must_use]
pub fn find() -> Option<PathBuf> {
    crate::program::find("passt")
}
