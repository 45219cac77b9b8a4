//! What the daemon's own process uses.

/// Its figures.
pub struct Figures {
    /// Resident memory in bytes.
    pub resident: f64,
    /// CPU time since its start, in seconds.
    pub cpu_seconds: f64,
    /// Threads.
    pub threads: f64,
}

/// The figures now; `None` where `/proc` cannot be read.
pub fn figures() -> Option<Figures> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in brackets may hold anything; the fields after it are numbered from 3.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    let page = rustix::param::page_size() as f64;
    Some(Figures {
        resident: field(24)? * page,
        cpu_seconds: (field(14)? + field(15)?) / ticks,
        threads: field(20)?,
    })
}
