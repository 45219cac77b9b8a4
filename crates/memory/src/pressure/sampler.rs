//! One look at the kernel's counters. The files stay open, so that a sample costs three reads.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use kinglet_model::Size;
use kinglet_model::memory::MemorySample;

use crate::proc::{MemInfo, Psi, VmStat, meminfo, psi, vmstat};

/// `/proc/vmstat`, the longest, is about 5 KB.
const LONGEST: usize = 32 << 10;

/// Takes samples. The first has no rates, since there is nothing before it.
#[derive(Debug)]
pub struct Sampler {
    meminfo: File,
    vmstat: File,
    pressure: Option<File>,
    buffer: Vec<u8>,
    before: Option<Counters>,
}

#[derive(Debug, Clone, Copy)]
struct Counters {
    at_ms: u64,
    vm: VmStat,
    psi: Option<Psi>,
}

impl Sampler {
    /// Opens the counters under `/proc`. A kernel without PSI has samples without it.
    ///
    /// # Errors
    /// Where `meminfo` or `vmstat` cannot be opened.
    pub fn open(proc: &Path) -> io::Result<Self> {
        Ok(Self {
            meminfo: File::open(proc.join("meminfo"))?,
            vmstat: File::open(proc.join("vmstat"))?,
            pressure: File::open(proc.join("pressure/memory")).ok(),
            buffer: vec![0; LONGEST],
            before: None,
        })
    }

    /// The state at `at_ms`, milliseconds since boot, and the rates since the sample before.
    ///
    /// # Errors
    /// Where the counters cannot be read.
    pub fn sample(&mut self, at_ms: u64) -> io::Result<(MemorySample, MemInfo)> {
        let info = meminfo(&text(&self.meminfo, &mut self.buffer)?)
            .ok_or_else(|| io::Error::other("/proc/meminfo does not tell MemAvailable"))?;
        let now = Counters {
            at_ms,
            vm: vmstat(&text(&self.vmstat, &mut self.buffer)?),
            psi: self.psi(),
        };
        let sample = between(self.before.as_ref(), &now, &info);
        self.before = Some(now);
        Ok((sample, info))
    }

    /// A kernel that was booted with `psi=0` has the file, and fails to read it.
    fn psi(&mut self) -> Option<Psi> {
        psi(&text(self.pressure.as_ref()?, &mut self.buffer).ok()?)
    }
}

fn text(file: &File, buffer: &mut [u8]) -> io::Result<String> {
    let mut filled = 0;
    // The kernel gives such files in pages.
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], filled as u64)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(String::from_utf8_lossy(&buffer[..filled]).into_owned())
}

fn between(before: Option<&Counters>, now: &Counters, info: &MemInfo) -> MemorySample {
    let mut sample = MemorySample {
        at_ms: now.at_ms,
        available: info.available,
        swap_used: Size(info.swap_total.0.saturating_sub(info.swap_free.0)),
        some: now.psi.map(|psi| psi.some.avg10),
        full: now.psi.and_then(|psi| Some(psi.full?.avg10)),
        ..MemorySample::default()
    };
    let Some(before) = before.filter(|before| before.at_ms < now.at_ms) else {
        return sample;
    };
    let elapsed = now.at_ms - before.at_ms;
    sample.swap_in_rate = rate(before.vm.swapped_in, now.vm.swapped_in, elapsed);
    sample.swap_out_rate = rate(before.vm.swapped_out, now.vm.swapped_out, elapsed);
    let kills = now.vm.oom_kills.zip(before.vm.oom_kills);
    let kills = kills.map_or(0, |(now, before)| now.saturating_sub(before));
    sample.oom_kills = u32::try_from(kills).unwrap_or(u32::MAX);
    if let (Some(now), Some(before)) = (now.psi, before.psi) {
        sample.some = Some(share(before.some.total_us, now.some.total_us, elapsed));
        let full = now.full.zip(before.full);
        sample.full = full.map(|(now, before)| share(before.total_us, now.total_us, elapsed));
    }
    sample
}

/// Pages counted, as bytes a second.
fn rate(before: u64, now: u64, elapsed_ms: u64) -> u64 {
    let page = rustix::param::page_size() as u64;
    let bytes = now.saturating_sub(before).saturating_mul(page);
    bytes.saturating_mul(1000) / elapsed_ms.max(1)
}

/// Microseconds waited, as percent of the time.
fn share(before_us: u64, now_us: u64, elapsed_ms: u64) -> f32 {
    let waited = now_us.saturating_sub(before_us) as f64;
    (waited / (elapsed_ms.max(1) as f64 * 1000.0) * 100.0).min(100.0) as f32
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn proc(pswpout: u64, kills: u64, some_us: u64) -> Vec<(&'static str, String)> {
        vec![
            (
                "meminfo",
                "MemTotal: 1000 kB\nMemAvailable: 400 kB\nSwapTotal: 80 kB\nSwapFree: 20 kB\n"
                    .to_owned(),
            ),
            (
                "vmstat",
                format!("pswpin 0\npswpout {pswpout}\noom_kill {kills}\n"),
            ),
            (
                "pressure/memory",
                format!("some avg10=3.00 avg60=0 avg300=0 total={some_us}\n"),
            ),
        ]
    }

    #[test]
    fn rates_are_between_two_samples() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("pressure")).unwrap();
        let write = |files: Vec<(&str, String)>| {
            for (name, text) in files {
                fs::write(root.path().join(name), text).unwrap();
            }
        };
        write(proc(10, 1, 500));
        let mut sampler = Sampler::open(root.path()).unwrap();
        let (first, info) = sampler.sample(1000).unwrap();
        assert_eq!((first.swap_out_rate, first.oom_kills), (0, 0));
        assert_eq!((first.some, first.full), (Some(3.0), None));
        assert_eq!(
            (first.swap_used, info.total),
            (Size(60 << 10), Size(1000 << 10))
        );
        write(proc(30, 3, 500 + 1_000_000));
        let (second, _) = sampler.sample(3000).unwrap();
        let page = rustix::param::page_size() as u64;
        assert_eq!((second.swap_out_rate, second.oom_kills), (10 * page, 2));
        assert_eq!(second.some, Some(50.0));
    }

    #[test]
    fn counters_that_go_back_are_no_rates() {
        let now = Counters {
            at_ms: 2,
            vm: VmStat::default(),
            psi: None,
        };
        let vm = VmStat {
            swapped_in: 9,
            swapped_out: 9,
            oom_kills: Some(9),
        };
        let before = Counters {
            at_ms: 1,
            vm,
            psi: None,
        };
        let sample = between(Some(&before), &now, &MemInfo::default());
        assert_eq!(
            (sample.swap_in_rate, sample.swap_out_rate, sample.oom_kills),
            (0, 0, 0)
        );
    }

    #[test]
    fn this_machine_can_be_sampled() {
        let mut sampler = Sampler::open(Path::new("/proc")).unwrap();
        let (sample, info) = sampler.sample(1).unwrap();
        assert!(sample.available.0 > 0 && info.total > sample.available);
        assert!(sample.some.is_some(), "this kernel has no PSI");
    }
}
