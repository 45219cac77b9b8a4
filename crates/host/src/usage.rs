//! What this machine uses right now.

use std::io;
use std::path::{Path, PathBuf};

use kinglet_model::Size;
use kinglet_model::host::HostUsage;

use crate::proc::{self, CpuTicks};

/// Takes figures; CPU is the difference to the sample before.
#[derive(Debug)]
pub struct Sampler {
    data: PathBuf,
    cpus: f64,
    before: CpuTicks,
}

impl Sampler {
    /// A sampler that tells the free space of the file system of `data`.
    ///
    /// # Errors
    /// Where `/proc/stat` cannot be read.
    pub fn new(data: &Path) -> io::Result<Self> {
        let cpus = online_cpus();
        Ok(Self {
            data: data.to_owned(),
            cpus,
            before: ticks()?,
        })
    }

    /// The figures since the last call (the first: since the sampler was made).
    ///
    /// # Errors
    /// Where `/proc` or the data folder cannot be read.
    pub fn sample(&mut self) -> io::Result<HostUsage> {
        let now = ticks()?;
        let cpu = busy_share(self.before, now) * self.cpus;
        self.before = now;
        let text = proc::read("/proc/meminfo")?;
        let meminfo = proc::meminfo(&text);
        let size = |name: &str| meminfo.get(name).copied().unwrap_or_default();
        let free = rustix::fs::statvfs(&self.data)?;
        Ok(HostUsage {
            cpu,
            memory_total: size("MemTotal"),
            memory_available: size("MemAvailable"),
            swap_total: size("SwapTotal"),
            swap_used: Size(size("SwapTotal").0.saturating_sub(size("SwapFree").0)),
            memory_pressure: proc::read("/proc/pressure/memory")
                .ok()
                .and_then(|text| proc::pressure(&text)),
            data_free: Size(free.f_bavail.saturating_mul(free.f_frsize)),
        })
    }
}

/// All CPUs of the machine, since `/proc/stat` counts all of them.
fn online_cpus() -> f64 {
    let count = proc::read("/proc/stat").map_or(0, |text| {
        text.lines()
            .filter(|line| {
                line.strip_prefix("cpu")
                    .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            })
            .count()
    });
    f64::from(u32::try_from(count).unwrap_or(1).max(1))
}

fn ticks() -> io::Result<CpuTicks> {
    proc::cpu_ticks(&proc::read("/proc/stat")?)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc/stat has no cpu line"))
}

/// From 0 to 1. Idle counters may step back a little; that is no work.
fn busy_share(before: CpuTicks, now: CpuTicks) -> f64 {
    let total = now.total.saturating_sub(before.total);
    let busy = now.busy.saturating_sub(before.busy).min(total);
    if total == 0 {
        return 0.0;
    }
    busy as f64 / total as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(busy: u64, total: u64) -> CpuTicks {
        CpuTicks { busy, total }
    }

    #[test]
    fn busy_share_is_a_difference_and_never_negative() {
        assert!((busy_share(at(10, 100), at(60, 200)) - 0.5).abs() < 1e-9);
        assert!(busy_share(at(10, 100), at(10, 100)).abs() < 1e-9);
        assert!(busy_share(at(10, 100), at(9, 200)).abs() < 1e-9);
        assert!(busy_share(at(0, 100), at(500, 200)) <= 1.0);
    }

    #[test]
    fn sample_is_within_what_the_machine_has() {
        let mut sampler = Sampler::new(Path::new("/")).unwrap();
        let usage = sampler.sample().unwrap();
        assert!(usage.cpu >= 0.0);
        assert!(usage.memory_available <= usage.memory_total);
        assert!(usage.memory_total > Size(0));
        assert!(usage.swap_used <= usage.swap_total);
    }

    #[test]
    fn sample_of_a_missing_folder_fails() {
        let mut sampler = Sampler::new(Path::new("/no/such/folder")).unwrap();
        assert!(sampler.sample().is_err());
    }
}
