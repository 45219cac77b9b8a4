//! Parsers of the kernel's text files under `/proc` and `/sys`. Total: a line that is not understood
//! is passed over, a number that does not fit is absent.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use kinglet_model::Size;

/// A file of the kernel as text without the line end.
pub fn read(path: impl AsRef<Path>) -> io::Result<String> {
    let bytes = std::fs::read(path)?;
    Ok(String::from_utf8_lossy(&bytes).trim_end().to_owned())
}

/// `/proc/meminfo`: names to sizes.
pub fn meminfo(text: &str) -> BTreeMap<&str, Size> {
    text.lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            let mut words = value.split_ascii_whitespace();
            let number: u64 = words.next()?.parse().ok()?;
            let bytes = match words.next() {
                Some("kB") => number.checked_mul(1024)?,
                None => number,
                Some(_) => return None,
            };
            Some((name.trim(), Size(bytes)))
        })
        .collect()
}

/// Ticks that all CPUs together spent, from the `cpu` line of `/proc/stat`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuTicks {
    /// Working: everything but idle and waiting for I/O.
    pub busy: u64,
    /// In all.
    pub total: u64,
}

/// The `cpu` line of `/proc/stat`. Guest time is counted by the kernel within user time.
pub fn cpu_ticks(text: &str) -> Option<CpuTicks> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line
        .split_ascii_whitespace()
        .take(8)
        .map_while(|word| word.parse().ok())
        .collect();
    if ticks.len() < 4 {
        return None;
    }
    let total = ticks
        .iter()
        .try_fold(0u64, |sum, tick| sum.checked_add(*tick))?;
    let idle = ticks[3].checked_add(ticks.get(4).copied().unwrap_or(0))?;
    Some(CpuTicks {
        busy: total.checked_sub(idle)?,
        total,
    })
}

/// `some avg10` of a PSI file, in percent.
pub fn pressure(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("some "))?;
    let share = line
        .split_ascii_whitespace()
        .find_map(|word| word.strip_prefix("avg10="))?;
    share
        .parse()
        .ok()
        .filter(|share: &f64| (0.0..=100.0).contains(share))
}

/// A hexadecimal member of `/proc/self/status`, such as `CapEff`.
pub fn status_hex(text: &str, member: &str) -> Option<u64> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(member)?.strip_prefix(':'))?;
    u64::from_str_radix(value.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str = "cpu  100 5 20 800 60 1 2 12 50 0\ncpu0 1 2 3 4\nintr 5\n";

    #[test]
    fn meminfo_reads_kilobytes_and_passes_over_the_rest() {
        let text = "MemTotal:  2048 kB\nHugePages_Total:  3\nOdd: 5 MB\nBad: x kB\nno colon\n\
                    Huge: 99999999999999999999 kB\nOver: 18446744073709551615 kB\n";
        let info = meminfo(text);
        assert_eq!(info["MemTotal"], Size::mib(2));
        assert_eq!(info["HugePages_Total"], Size(3));
        assert_eq!(info.len(), 2);
    }

    #[test]
    fn cpu_ticks_counts_waiting_as_idle() {
        let ticks = cpu_ticks(STAT).unwrap();
        assert_eq!(
            ticks,
            CpuTicks {
                busy: 140,
                total: 1000
            }
        );
    }

    #[test]
    fn cpu_ticks_of_malformed_text_are_absent() {
        for text in [
            "",
            "cpu",
            "cpu 1 2 3",
            "cpu a b c d e",
            "cpu0 1 2 3 4 5",
            "cpu 18446744073709551615 1 1 1 1",
        ] {
            assert_eq!(cpu_ticks(text), None, "{text:?}");
        }
    }

    #[test]
    fn pressure_reads_the_ten_second_average() {
        let text = "some avg10=1.25 avg60=0.1 avg300=0.0 total=9\nfull avg10=9.0 avg60=0 total=0\n";
        assert_eq!(pressure(text), Some(1.25));
        for text in [
            "",
            "some",
            "some avg10=x",
            "some avg10=NaN",
            "some avg10=-1",
            "full avg10=1",
        ] {
            assert_eq!(pressure(text), None, "{text:?}");
        }
    }

    #[test]
    fn status_hex_reads_capabilities() {
        let text = "CapInh:\t0\nCapEff:\t000001ffffffffff\n";
        assert_eq!(status_hex(text, "CapEff"), Some(0x1ff_ffff_ffff));
        assert_eq!(status_hex(text, "CapBnd"), None);
        assert_eq!(status_hex("CapEff:\txyz\n", "CapEff"), None);
    }
}
