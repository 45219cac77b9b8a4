//! A day of samples in fixed memory: ten minutes by the second, two hours by ten seconds, a day by the
//! minute.

use kinglet_model::Size;
use kinglet_model::memory::MemorySample;

/// How fine a series is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// Steps of 1 s, for 10 minutes.
    Second,
    /// Steps of 10 s, for 2 hours.
    TenSeconds,
    /// Steps of 1 min, for 24 hours.
    Minute,
}

impl Resolution {
    /// Every resolution, the finest first.
    pub const ALL: [Self; 3] = [Self::Second, Self::TenSeconds, Self::Minute];

    /// The length of a step in milliseconds.
    #[must_use]
    pub const fn step_ms(self) -> u64 {
        match self {
            Self::Second => 1_000,
            Self::TenSeconds => 10_000,
            Self::Minute => 60_000,
        }
    }

    /// So many steps are kept.
    #[must_use]
    pub const fn steps(self) -> usize {
        match self {
            Self::Second => 600,
            Self::TenSeconds => 720,
            Self::Minute => 1440,
        }
    }
}

/// Samples of the last day. Never grows; about 180 KB.
#[derive(Debug, Clone)]
pub struct Series {
    rings: [Ring; 3],
}

impl Default for Series {
    fn default() -> Self {
        Self {
            rings: Resolution::ALL.map(Ring::new),
        }
    }
}

impl Series {
    /// Takes a sample. Samples may come at any distance; one from before the last is passed over.
    pub fn push(&mut self, sample: &MemorySample) {
        for ring in &mut self.rings {
            ring.push(sample);
        }
    }

    /// The steps after `since_ms`, the oldest first; the last may still move.
    #[must_use]
    pub fn since(&self, resolution: Resolution, since_ms: u64) -> Vec<MemorySample> {
        let ring = &self.rings[resolution as usize];
        ring.steps()
            .filter(|sample| sample.at_ms > since_ms)
            .collect()
    }
}

#[derive(Debug, Clone)]
struct Ring {
    step_ms: u64,
    kept: Box<[MemorySample]>,
    /// Steps written in all; the next goes to the remainder.
    written: usize,
    open: Option<Step>,
}

impl Ring {
    fn new(resolution: Resolution) -> Self {
        Self {
            step_ms: resolution.step_ms(),
            kept: vec![MemorySample::default(); resolution.steps()].into_boxed_slice(),
            written: 0,
            open: None,
        }
    }

    fn push(&mut self, sample: &MemorySample) {
        let index = sample.at_ms / self.step_ms;
        match &mut self.open {
            Some(step) if sample.at_ms < step.last_ms => {}
            Some(step) if step.index == index => step.add(sample),
            open => {
                let closed = open.replace(Step::new(index, sample));
                if let Some(closed) = closed {
                    self.kept[self.written % self.kept.len()] = closed.mean();
                    self.written += 1;
                }
            }
        }
    }

    fn steps(&self) -> impl Iterator<Item = MemorySample> + '_ {
        let length = self.kept.len();
        // The open step is one of those that are kept.
        let first = self.written.saturating_sub(length - 1);
        (first..self.written)
            .map(move |index| self.kept[index % length])
            .chain(self.open.iter().map(Step::mean))
    }
}

/// A step that samples are still added to.
#[derive(Debug, Clone)]
struct Step {
    index: u64,
    last_ms: u64,
    count: u64,
    available: Size,
    swap_used: Size,
    swap_in: u64,
    swap_out: u64,
    some: Option<f64>,
    full: Option<f64>,
    oom_kills: u32,
}

impl Step {
    fn new(index: u64, sample: &MemorySample) -> Self {
        let mut step = Self {
            index,
            last_ms: 0,
            count: 0,
            available: Size(u64::MAX),
            swap_used: Size(0),
            swap_in: 0,
            swap_out: 0,
            some: None,
            full: None,
            oom_kills: 0,
        };
        step.add(sample);
        step
    }

    fn add(&mut self, sample: &MemorySample) {
        let plus = |sum: Option<f64>, share: Option<f32>| match share {
            Some(share) => Some(sum.unwrap_or(0.0) + f64::from(share)),
            None => sum,
        };
        self.last_ms = sample.at_ms;
        self.count += 1;
        self.available = self.available.min(sample.available);
        self.swap_used = self.swap_used.max(sample.swap_used);
        self.swap_in = self.swap_in.saturating_add(sample.swap_in_rate);
        self.swap_out = self.swap_out.saturating_add(sample.swap_out_rate);
        self.some = plus(self.some, sample.some);
        self.full = plus(self.full, sample.full);
        self.oom_kills = self.oom_kills.saturating_add(sample.oom_kills);
    }

    fn mean(&self) -> MemorySample {
        let share = |sum: Option<f64>| sum.map(|sum| (sum / self.count as f64) as f32);
        MemorySample {
            at_ms: self.last_ms,
            available: self.available,
            swap_used: self.swap_used,
            swap_in_rate: self.swap_in / self.count.max(1),
            swap_out_rate: self.swap_out / self.count.max(1),
            some: share(self.some),
            full: share(self.full),
            oom_kills: self.oom_kills,
        }
    }
}
