//! The memory of one cgroup (v2), such as a VM's own.

use std::io;
use std::path::Path;

use kinglet_model::Size;

use crate::proc::{self, CgroupEvents, Psi, cgroup_events, psi};

/// How one cgroup stands.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CgroupMemory {
    /// What it holds in memory (`memory.current`).
    pub held: Size,
    /// What it holds in swap. Absent where swap is not accounted.
    pub swapped: Option<Size>,
    /// How often it met its limits.
    pub events: CgroupEvents,
    /// How much its tasks waited for memory. Absent without PSI.
    pub pressure: Option<Psi>,
}

impl CgroupMemory {
    /// Reads a cgroup's folder.
    ///
    /// # Errors
    /// Where there is no such cgroup, or it has no memory controller.
    pub fn read(folder: &Path) -> io::Result<Self> {
        let held = proc::read(&folder.join("memory.current"))?;
        Ok(Self {
            held: Size(held.trim().parse().map_err(io::Error::other)?),
            swapped: proc::number(&folder.join("memory.swap.current")).map(Size),
            events: cgroup_events(&proc::read(&folder.join("memory.events"))?),
            pressure: proc::word(&folder.join("memory.pressure")).and_then(|text| psi(&text)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cgroup_is_read_with_what_it_has() {
        let folder = tempfile::tempdir().unwrap();
        assert!(CgroupMemory::read(folder.path()).is_err());
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("memory.current", "4096\n");
        write("memory.events", "low 0\noom_kill 2\n");
        let seen = CgroupMemory::read(folder.path()).unwrap();
        assert_eq!(
            (seen.held, seen.swapped, seen.pressure),
            (Size(4096), None, None)
        );
        assert_eq!(seen.events.oom_kill, 2);
        write("memory.swap.current", "8192\n");
        write(
            "memory.pressure",
            "some avg10=2.50 avg60=0.00 avg300=0.00 total=7\n",
        );
        let seen = CgroupMemory::read(folder.path()).unwrap();
        assert_eq!(seen.swapped, Some(Size(8192)));
        assert_eq!(seen.pressure.unwrap().some.avg10, 2.5);
        write("memory.current", "max\n");
        assert!(CgroupMemory::read(folder.path()).is_err());
    }
}
