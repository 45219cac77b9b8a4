//! Figures of a zram device.

use kinglet_model::Size;

/// `mm_stat` of a zram device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MmStat {
    /// What is stored, before compression.
    pub stored: Size,
    /// The same after compression.
    pub compressed: Size,
    /// Memory that it costs, with the allocator's loss.
    pub memory: Size,
    /// Pages of one repeated value, which cost nothing.
    pub same_pages: u64,
    /// Pages that could not be compressed (`huge_pages`).
    pub incompressible_pages: u64,
}

impl MmStat {
    /// What one byte of memory holds. Absent while nothing is stored.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        (self.memory.0 > 0).then(|| self.stored.0 as f64 / self.memory.0 as f64)
    }
}

/// Reads `mm_stat`. `None` where it has too few numbers; older kernels lack the last ones.
#[must_use]
pub fn mm_stat(text: &str) -> Option<MmStat> {
    let numbers: Vec<u64> = text
        .split_ascii_whitespace()
        .map_while(|word| word.parse().ok())
        .collect();
    let [stored, compressed, memory, _limit, _most, same_pages, ..] = numbers[..] else {
        return None;
    };
    Some(MmStat {
        stored: Size(stored),
        compressed: Size(compressed),
        memory: Size(memory),
        same_pages,
        incompressible_pages: numbers.get(7).copied().unwrap_or(0),
    })
}

/// Reads `comp_algorithm`: all that there are, and the one in brackets, which is chosen.
#[must_use]
pub fn algorithms(text: &str) -> (Vec<String>, Option<String>) {
    let mut chosen = None;
    let all = text
        .split_ascii_whitespace()
        .map(|word| {
            let inner = word
                .strip_prefix('[')
                .and_then(|word| word.strip_suffix(']'));
            if let Some(inner) = inner {
                chosen = Some(inner.to_owned());
            }
            inner.unwrap_or(word).to_owned()
        })
        .collect();
    (all, chosen)
}
