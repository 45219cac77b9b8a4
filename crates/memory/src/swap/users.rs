//! Who has most in swap.

use std::cmp::Reverse;
use std::path::Path;

use kinglet_model::Size;
use kinglet_model::memory::SwapUser;

use crate::proc::{self, vm_swap};

/// So many processes are looked at; a host with more of them tells about these.
const MOST_PROCESSES: usize = 4096;

/// The `most` processes that have most in swap, the largest first. `vm_name` gives the name of the VM
/// that a process runs.
#[must_use]
pub fn swap_users(
    proc_root: &Path,
    most: usize,
    vm_name: impl Fn(u32) -> Option<String>,
) -> Vec<SwapUser> {
    let mut users: Vec<(u32, String, Size)> = pids(proc_root)
        .filter_map(|pid| {
            // A process that ended meanwhile has nothing in swap.
            let text = proc::read(&proc_root.join(pid.to_string()).join("status")).ok()?;
            let swapped = vm_swap(&text).filter(|swapped| swapped.0 > 0)?;
            Some((pid, name(&text), swapped))
        })
        .collect();
    users.sort_by_key(|(pid, _, swapped)| (Reverse(*swapped), *pid));
    users.truncate(most);
    users
        .into_iter()
        .map(|(pid, name, swapped)| SwapUser {
            pid,
            name: vm_name(pid).unwrap_or(name),
            swapped,
        })
        .collect()
}

fn pids(proc_root: &Path) -> impl Iterator<Item = u32> {
    std::fs::read_dir(proc_root)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .take(MOST_PROCESSES)
}

fn name(status: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix("Name:"));
    line.unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn largest_users_come_first_and_vms_have_their_name() {
        let root = tempfile::tempdir().unwrap();
        for (pid, text) in [
            ("1", "Name:\tinit\nVmSwap:\t4 kB\n"),
            ("20", "Name:\tqemu\nVmSwap:\t64 kB\n"),
            ("3", "Name:\tidle\nVmSwap:\t0 kB\n"),
            ("4", "Name:\tkthread\n"),
            ("5", "\u{fffd}VmSwap: x\n"),
            ("self", "Name:\tx\nVmSwap:\t900 kB\n"),
        ] {
            std::fs::create_dir(root.path().join(pid)).unwrap();
            std::fs::write(root.path().join(pid).join("status"), text).unwrap();
        }
        let users = swap_users(root.path(), 5, |pid| (pid == 20).then(|| "web".to_owned()));
        let names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
        assert_eq!(names, ["web", "init"]);
        assert_eq!(users[0].swapped, Size(65536));
        assert_eq!(swap_users(root.path(), 1, |_| None).len(), 1);
    }
}
