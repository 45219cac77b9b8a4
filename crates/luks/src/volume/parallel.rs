//! Many sectors on many processors.

use std::num::NonZeroUsize;

/// Fewer bytes for a thread are not worth starting it.
const FEWEST_BYTES: usize = 256 << 10;

/// Calls `work` with parts of `data` that together are all of it, each of whole sectors, and with
/// the place of each part; on as many of `threads` processors as is worth it.
pub(super) fn each_part(
    data: &mut [u8],
    sector_size: usize,
    threads: NonZeroUsize,
    work: impl Fn(&mut [u8], u64) + Sync,
) {
    let threads = threads.get().min(data.len() / FEWEST_BYTES).max(1);
    let part = data
        .len()
        .div_ceil(threads)
        .next_multiple_of(sector_size)
        .max(sector_size);
    if data.len() <= part {
        return work(data, 0);
    }
    let work = &work;
    std::thread::scope(|scope| {
        let mut parts = (0_u64..).step_by(part).zip(data.chunks_mut(part));
        let first = parts.next();
        for (place, part) in parts {
            scope.spawn(move || work(part, place));
        }
        if let Some((place, part)) = first {
            work(part, place);
        }
    });
}
