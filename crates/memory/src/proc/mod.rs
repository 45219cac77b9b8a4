//! The kernel's texts under `/proc` and `/sys`. Parsers are total: a line that is not understood is
//! passed over, a number that does not fit is absent.

mod counters;
mod pressure;
mod swaps;

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

pub use counters::{CgroupEvents, MemInfo, VmStat, cgroup_events, meminfo, vm_swap, vmstat};
pub use pressure::{Psi, PsiLine, psi};
pub(crate) use swaps::unescape;
pub use swaps::{ActiveSwap, swaps};

/// No text that is read here is longer; `/proc/vmstat` is about 5 KB.
const LONGEST: u64 = 1 << 20;

/// A file of the kernel as text.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The same without the white space around it, absent where it cannot be read.
pub(crate) fn word(path: &Path) -> Option<String> {
    Some(read(path).ok()?.trim().to_owned())
}

/// A file of the kernel as a number.
pub(crate) fn number(path: &Path) -> Option<u64> {
    word(path)?.parse().ok()
}
