//! Files of the kernel that are lists of names and numbers.

use kinglet_model::Size;

/// What of `/proc/meminfo` matters here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemInfo {
    /// All memory (`MemTotal`).
    pub total: Size,
    /// What programs could still have (`MemAvailable`).
    pub available: Size,
    /// What nobody uses (`MemFree`).
    pub free: Size,
    /// The page cache (`Cached`), shared memory included.
    pub cached: Size,
    /// Shared memory and tmpfs (`Shmem`).
    pub shared: Size,
    /// Swap in all (`SwapTotal`).
    pub swap_total: Size,
    /// Swap that is free (`SwapFree`).
    pub swap_free: Size,
}

/// Reads `/proc/meminfo`. `None` without the total or what is available (kernels before 3.14).
#[must_use]
pub fn meminfo(text: &str) -> Option<MemInfo> {
    let mut info = MemInfo::default();
    let (mut total, mut available) = (None, None);
    for (name, rest) in text.lines().filter_map(|line| line.split_once(':')) {
        let Some(size) = kibibytes(rest) else {
            continue;
        };
        match name {
            "MemTotal" => total = Some(size),
            "MemAvailable" => available = Some(size),
            "MemFree" => info.free = size,
            "Cached" => info.cached = size,
            "Shmem" => info.shared = size,
            "SwapTotal" => info.swap_total = size,
            "SwapFree" => info.swap_free = size,
            _ => {}
        }
    }
    info.total = total?;
    info.available = available?;
    Some(info)
}

/// `VmSwap` of `/proc/PID/status`. Kernel threads have none.
#[must_use]
pub fn vm_swap(text: &str) -> Option<Size> {
    kibibytes(text.lines().find_map(|line| line.strip_prefix("VmSwap:"))?)
}

fn kibibytes(text: &str) -> Option<Size> {
    let number = text.trim().strip_suffix("kB")?.trim_end();
    number.parse::<u64>().ok()?.checked_mul(1024).map(Size)
}

/// What of `/proc/vmstat` matters here. Counters since boot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct VmStat {
    /// Pages read back from swap.
    pub swapped_in: u64,
    /// Pages written to swap.
    pub swapped_out: u64,
    /// Processes killed for want of memory. Absent before Linux 4.13.
    pub oom_kills: Option<u64>,
}

/// Reads `/proc/vmstat`. A kernel without swap has no counters of it: 0.
#[must_use]
pub fn vmstat(text: &str) -> VmStat {
    VmStat {
        swapped_in: counter(text, "pswpin").unwrap_or(0),
        swapped_out: counter(text, "pswpout").unwrap_or(0),
        oom_kills: counter(text, "oom_kill"),
    }
}

/// A cgroup's `memory.events`: how often it met its limits, children included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CgroupEvents {
    /// It was reclaimed although under its protection (`low`).
    pub low: u64,
    /// It was throttled above `memory.high`.
    pub high: u64,
    /// It was about to pass `memory.max`.
    pub max: u64,
    /// It was out of memory.
    pub oom: u64,
    /// Processes in it were killed for it.
    pub oom_kill: u64,
}

/// Reads `memory.events`. What is not there is 0.
#[must_use]
pub fn cgroup_events(text: &str) -> CgroupEvents {
    let value = |name| counter(text, name).unwrap_or(0);
    CgroupEvents {
        low: value("low"),
        high: value("high"),
        max: value("max"),
        oom: value("oom"),
        oom_kill: value("oom_kill"),
    }
}

fn counter(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(found, _)| *found == name)
        .and_then(|(_, value)| value.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn meminfo_needs_total_and_available() {
        let text = "MemTotal:  2048 kB\nMemFree: 12 kB\nMemAvailable:    1024 kB\nCached: x kB\n\
                    SwapTotal: 4 kB\nSwapFree: 99999999999999999999 kB\nShmem: 7\n";
        let info = meminfo(text).unwrap();
        assert_eq!((info.total, info.available), (Size::mib(2), Size::mib(1)));
        assert_eq!((info.cached, info.shared), (Size(0), Size(0)));
        assert_eq!((info.swap_total, info.swap_free), (Size(4096), Size(0)));
        assert_eq!(meminfo("MemTotal: 1 kB\n"), None);
        assert_eq!(meminfo("\u{fffd}:\n::\n"), None);
    }

    #[test]
    fn vm_swap_is_absent_in_kernel_threads() {
        assert_eq!(
            vm_swap("Name:\tx\nVmSwap:\t     512 kB\n"),
            Some(Size(524_288))
        );
        assert_eq!(vm_swap("Name:\tkthreadd\n"), None);
        assert_eq!(vm_swap("VmSwap:\t-1 kB\n"), None);
    }

    #[test]
    fn vmstat_reads_whole_names_only() {
        let text = "pswpin 3\npswpout 5\nzswpout 9\noom_kill_x 8\noom_kill 2\n";
        let stat = vmstat(text);
        assert_eq!((stat.swapped_in, stat.swapped_out), (3, 5));
        assert_eq!(stat.oom_kills, Some(2));
        assert_eq!(vmstat("oom_kill x\n").oom_kills, None);
    }

    #[test]
    fn cgroup_events_tell_oom_from_oom_kill() {
        let events = cgroup_events("low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\n");
        assert_eq!(
            events,
            CgroupEvents {
                low: 1,
                high: 2,
                max: 3,
                oom: 4,
                oom_kill: 5
            }
        );
        assert_eq!(cgroup_events("no such"), CgroupEvents::default());
    }

    proptest! {
        #[test]
        fn parsers_never_panic(text in "(MemTotal:|VmSwap:|pswpin |kB|[0-9 \n-]){0,60}") {
            let _ = meminfo(&text);
            let _ = vm_swap(&text);
            let _ = vmstat(&text);
            let _ = cgroup_events(&text);
        }
    }
}
