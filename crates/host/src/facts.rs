//! What this machine is.

use std::io;

use kinglet_model::Size;
use serde::Serialize;
use thiserror::Error;

use crate::proc;

/// What this machine is; does not change until it boots again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HostFacts {
    /// The kernel's release: `6.1.0-28-amd64`.
    pub kernel: String,
    /// CPUs that this process may use (affinity and cgroup quota taken into account), at least 1.
    pub cpus: u32,
    /// Memory in all (`MemTotal`).
    pub memory: Size,
    /// The running boot (`/proc/sys/kernel/random/boot_id`), a UUID.
    pub boot_id: String,
    /// The machine's own name.
    pub hostname: String,
}

/// Why the machine could not be described.
#[derive(Debug, Error)]
pub enum FactsError {
    /// A file of the kernel cannot be read.
    #[error("{file} cannot be read ({source}); Kinglet needs /proc to be mounted")]
    Unreadable {
        /// The file.
        file: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A file of the kernel lacks something.
    #[error("{file} does not say {what}")]
    Incomplete {
        /// The file.
        file: &'static str,
        /// What it lacks.
        what: &'static str,
    },
}

/// Reads what this machine is.
///
/// # Errors
/// Where `/proc` is not mounted or incomplete.
pub fn facts() -> Result<HostFacts, FactsError> {
    const MEMINFO: &str = "/proc/meminfo";
    let meminfo = read(MEMINFO)?;
    let memory =
        proc::meminfo(&meminfo)
            .get("MemTotal")
            .copied()
            .ok_or(FactsError::Incomplete {
                file: MEMINFO,
                what: "how much memory there is",
            })?;
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Ok(HostFacts {
        kernel: read("/proc/sys/kernel/osrelease")?,
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
        memory,
        boot_id: read("/proc/sys/kernel/random/boot_id")?,
        hostname: read("/proc/sys/kernel/hostname")?,
    })
}

fn read(file: &'static str) -> Result<String, FactsError> {
    proc::read(file).map_err(|source| FactsError::Unreadable { file, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_describe_this_machine() {
        let facts = facts().unwrap();
        assert!(facts.cpus >= 1);
        assert!(facts.memory > Size::mib(16));
        assert_eq!(facts.boot_id.len(), 36);
        assert!(!facts.kernel.is_empty());
    }
}
