//! What VMs use. Read once a second while somebody watches, never otherwise.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kinglet_model::vm::{NetworkMode, VmUsage};
use kinglet_model::{Size, Vm};
use tokio::sync::watch;

use crate::engine::{Figures, Session};
use crate::process::{Process, stat_field};
use crate::tap;

/// Keeps the figures of all VMs moving while it is held.
#[must_use = "sampling ends when this is dropped"]
pub struct UsageGuard(watch::Sender<usize>);

impl UsageGuard {
    pub(crate) fn new(watchers: watch::Sender<usize>) -> Self {
        watchers.send_modify(|count| *count += 1);
        Self(watchers)
    }
}

impl Drop for UsageGuard {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// What is read of one VM, and from where.
#[derive(Default)]
pub(crate) struct Meter(Mutex<Source>);

#[derive(Default)]
struct Source {
    pid: Option<u32>,
    session: Option<Arc<dyn Session>>,
    last: Option<Sample>,
}

#[derive(Clone, Copy)]
struct Sample {
    at: Instant,
    cpu_ms: u64,
    figures: Figures,
    net: Option<(u64, u64)>,
}

impl Meter {
    /// Reads from this process from now on, or from none.
    pub(crate) fn attach(&self, process: Option<&Process>, session: Option<Arc<dyn Session>>) {
        *self.lock() = Source {
            pid: process.map(|process| process.identity().pid),
            session,
            last: None,
        };
    }

    /// Whether there is a process to read from.
    pub(crate) fn is_attached(&self) -> bool {
        self.lock().pid.is_some()
    }

    /// What the VM uses now; rates since the last reading, if that is not long ago. `None`: it has no
    /// process.
    pub(crate) async fn read(&self, vm: &Vm) -> Option<VmUsage> {
        let (pid, session, last) = {
            let source = self.lock();
            (source.pid?, source.session.clone()?, source.last)
        };
        let sample = Sample {
            at: Instant::now(),
            cpu_ms: cpu_ms(pid)?,
            figures: session.figures().await.unwrap_or_default(),
            net: net(vm),
        };
        let usage = usage(&sample, last.as_ref(), memory(pid), vm);
        self.lock().last = Some(sample);
        Some(usage)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Source> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn usage(now: &Sample, last: Option<&Sample>, memory: Size, vm: &Vm) -> VmUsage {
    let last = last.filter(|last| now.at - last.at < Duration::from_secs(10));
    let seconds = last.map_or(0.0, |last| (now.at - last.at).as_secs_f64());
    let cpu = last.map_or(0.0, |last| {
        per_second(last.cpu_ms, now.cpu_ms, seconds) / 1000.0
    });
    // More than it can have is the clock's fault.
    let cpu = cpu.min(f64::from(vm.spec.vcpus) + 2.0);
    let rate = |then: Option<u64>, now: u64| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        then.map_or(0, |then| per_second(then, now, seconds) as u64)
    };
    VmUsage {
        cpu,
        cpu_time_ms: now.cpu_ms,
        memory,
        balloon: now.figures.balloon.map(Size),
        disk_read: now.figures.disk_read,
        disk_written: now.figures.disk_written,
        disk_read_rate: rate(last.map(|l| l.figures.disk_read), now.figures.disk_read),
        disk_write_rate: rate(
            last.map(|l| l.figures.disk_written),
            now.figures.disk_written,
        ),
        net_received: now.net.map(|net| net.0),
        net_sent: now.net.map(|net| net.1),
        net_receive_rate: now
            .net
            .map(|net| rate(last.and_then(|l| l.net).map(|n| n.0), net.0)),
        net_send_rate: now
            .net
            .map(|net| rate(last.and_then(|l| l.net).map(|n| n.1), net.1)),
    }
}

#[allow(clippy::cast_precision_loss)]
fn per_second(then: u64, now: u64, seconds: f64) -> f64 {
    if seconds < 0.05 {
        0.0
    } else {
        now.saturating_sub(then) as f64 / seconds
    }
}

/// CPU time of the process, with what the kernel did for it.
fn cpu_ms(pid: u32) -> Option<u64> {
    let ticks = stat_field(pid, 14)
        .ok()?
        .saturating_add(stat_field(pid, 15).ok()?);
    Some(ticks.saturating_mul(1000) / rustix::param::clock_ticks_per_second().max(1))
}

/// Its memory: shared parts counted in proportion, where the kernel tells that.
fn memory(pid: u32) -> Size {
    let pss = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .ok()
        .and_then(|text| {
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        });
    pss.map_or_else(|| resident(pid), |kib| Size(kib.saturating_mul(1024)))
}

fn resident(pid: u32) -> Size {
    let pages = fs::read_to_string(format!("/proc/{pid}/statm"))
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok())
        .unwrap_or(0);
    Size(pages.saturating_mul(rustix::param::page_size() as u64))
}

/// What the guest received and sent, where its network is a device of the host: seen from there, the
/// other way round.
fn net(vm: &Vm) -> Option<(u64, u64)> {
    if vm.spec.network.mode != NetworkMode::Tap {
        return None;
    }
    let folder = PathBuf::from("/sys/class/net")
        .join(tap::name(vm.metadata.id))
        .join("statistics");
    let read = |name: &str| {
        fs::read_to_string(folder.join(name))
            .ok()?
            .trim()
            .parse::<u64>()
            .ok()
    };
    Some((read("tx_bytes")?, read("rx_bytes")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_this_process_are_plausible() {
        let pid = std::process::id();
        assert!(memory(pid) > Size::mib(1) && resident(pid) > Size::mib(1));
        assert!(cpu_ms(pid).is_some());
        assert!(cpu_ms(u32::MAX).is_none());
    }

    #[test]
    fn rates_need_two_readings_and_never_go_below_zero() {
        assert!(per_second(10, 5, 1.0).abs() < f64::EPSILON);
        assert!((per_second(0, 100, 2.0) - 50.0).abs() < f64::EPSILON);
        assert!(per_second(0, 100, 0.0).abs() < f64::EPSILON);
    }
}
