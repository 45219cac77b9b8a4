//! What the kernel offers to a host of VMs.

use std::path::Path;

use kinglet_model::Size;
use kinglet_model::host::Check;

use super::{DoctorConfig, limited, yes};
use crate::proc;

/// `CAP_NET_ADMIN` (`linux/capability.h`).
pub const NET_ADMIN: u32 = 12;
const SYS_ADMIN: u32 = 21;
const LEASE: u32 = 28;

/// Memory below which hardly a VM fits.
const LITTLE_MEMORY: Size = Size::mib(256);

/// How much memory and swap there is.
pub fn memory(_: &DoctorConfig) -> Check {
    memory_from(&proc::read("/proc/meminfo").unwrap_or_default())
}

fn memory_from(text: &str) -> Check {
    const NAME: &str = "memory";
    const TITLE: &str = "Memory";
    let meminfo = proc::meminfo(text);
    let size = |name: &str| meminfo.get(name).copied().unwrap_or_default();
    let available = size("MemAvailable");
    let swap = match size("SwapTotal") {
        Size(0) => "no swap".to_owned(),
        total => format!("{total} swap"),
    };
    let what = format!("{} of {} available, {swap}", available, size("MemTotal"));
    if available < LITTLE_MEMORY {
        let remedy = "stop other programs, or add swap";
        limited(NAME, TITLE, format!("{what}: hardly a VM fits"), remedy)
    } else {
        yes(NAME, TITLE, what)
    }
}

/// Whether the kernel tells how long tasks wait for memory.
pub fn pressure(_: &DoctorConfig) -> Check {
    const NAME: &str = "psi";
    const TITLE: &str = "Memory pressure (PSI)";
    let reading = proc::read("/proc/pressure/memory")
        .ok()
        .and_then(|text| proc::pressure(&text));
    match reading {
        Some(_) => yes(NAME, TITLE, "/proc/pressure/memory tells it"),
        None => limited(
            NAME,
            TITLE,
            "the kernel does not tell how long tasks wait for memory",
            "boot with psi=1 on the kernel's command line",
        ),
    }
}

/// Which version of control groups is mounted.
pub fn cgroup(_: &DoctorConfig) -> Check {
    cgroup_below(Path::new("/sys/fs/cgroup"))
}

fn cgroup_below(root: &Path) -> Check {
    const NAME: &str = "cgroup";
    const TITLE: &str = "Control groups";
    const REMEDY: &str =
        "boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line";
    match proc::read(root.join("cgroup.controllers")) {
        Ok(controllers) => yes(NAME, TITLE, format!("version 2 ({controllers})")),
        Err(_) if root.join("memory").is_dir() => limited(
            NAME,
            TITLE,
            "version 1; VMs run, but their limits are better kept by version 2",
            REMEDY,
        ),
        Err(_) => limited(NAME, TITLE, "not mounted; VMs run without them", REMEDY),
    }
}

/// As whom this process runs.
pub fn privileges(_: &DoctorConfig) -> Check {
    const NAME: &str = "privileges";
    const TITLE: &str = "Privileges";
    let user = rustix::process::geteuid();
    if user.is_root() {
        return yes(NAME, TITLE, "root");
    }
    let held: Vec<&str> = [
        (NET_ADMIN, "CAP_NET_ADMIN"),
        (SYS_ADMIN, "CAP_SYS_ADMIN"),
        (LEASE, "CAP_LEASE"),
    ]
    .into_iter()
    .filter(|(number, _)| has_capability(*number))
    .map(|(_, name)| name)
    .collect();
    let held = if held.is_empty() {
        "no privileges, which everything but bridged networks works without".to_owned()
    } else {
        held.join(", ")
    };
    yes(NAME, TITLE, format!("user {}, {held}", user.as_raw()))
}

/// Whether a capability is effective in this process.
pub fn has_capability(number: u32) -> bool {
    proc::read("/proc/self/status")
        .ok()
        .and_then(|text| proc::status_hex(&text, "CapEff"))
        .is_some_and(|set| set >> number & 1 == 1)
}

#[cfg(test)]
mod tests {
    use kinglet_model::host::Verdict;

    use super::*;

    #[test]
    fn little_memory_is_a_limit() {
        let text = |kib: u64| format!("MemTotal: 4194304 kB\nMemAvailable: {kib} kB\n");
        assert_eq!(memory_from(&text(1 << 20)).verdict, Verdict::Yes);
        assert_eq!(
            memory_from(&text(1 << 20)).detail,
            "1 GiB of 4 GiB available, no swap"
        );
        assert_eq!(memory_from(&text(1 << 10)).verdict, Verdict::Limited);
        assert_eq!(memory_from("garbage").verdict, Verdict::Limited);
    }

    #[test]
    fn cgroup_versions_are_told_apart() {
        let root = tempfile::tempdir().unwrap();
        assert!(cgroup_below(root.path()).detail.contains("not mounted"));
        std::fs::create_dir(root.path().join("memory")).unwrap();
        assert!(cgroup_below(root.path()).detail.contains("version 1"));
        std::fs::write(root.path().join("cgroup.controllers"), "cpu memory\n").unwrap();
        assert_eq!(cgroup_below(root.path()).detail, "version 2 (cpu memory)");
    }
}
