//! Memory that holds keys: kept out of swap and core dumps where the system lets us. The one place
//! of this crate that calls the kernel itself.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fmt;
use std::ops::Deref;

use rustix::mm::{Advice, madvise, mlock, munlock};

/// Locks the whole pages within `length` bytes at `start` and keeps them out of core dumps. Returns
/// whether both worked: a process may lock only so much (`RLIMIT_MEMLOCK`).
///
/// Only whole pages inside the range, so that releasing it never touches a neighbour's pages.
pub(crate) fn lock<T>(start: *const T, length: usize) -> bool {
    let Some((pages, length)) = whole_pages(start, length) else {
        return false;
    };
    // SAFETY: advice about dumps changes no byte and no mapping; the kernel refuses addresses that
    // are not mapped.
    let hidden = unsafe { madvise(pages, length, Advice::LinuxDontDump) };
    // SAFETY: locking changes no byte and no mapping; the kernel refuses addresses that are not
    // mapped.
    let locked = unsafe { mlock(pages, length) };
    hidden.is_ok() && locked.is_ok()
}

/// Takes back what [`lock`] did to the same range.
pub(crate) fn unlock<T>(start: *const T, length: usize) {
    let Some((pages, length)) = whole_pages(start, length) else {
        return;
    };
    // SAFETY: unlocking changes no byte and no mapping.
    let _ = unsafe { munlock(pages, length) };
    // SAFETY: advice about dumps changes no byte and no mapping.
    let _ = unsafe { madvise(pages, length, Advice::LinuxDoDump) };
}

fn whole_pages<T>(start: *const T, length: usize) -> Option<(*mut c_void, usize)> {
    let page = rustix::param::page_size();
    let skip = start.addr().next_multiple_of(page) - start.addr();
    let whole = length.checked_sub(skip)? / page * page;
    let first = start.cast::<u8>().wrapping_add(skip);
    (whole > 0).then_some((first.cast_mut().cast(), whole))
}

/// A value on pages of its own, locked while it lives. `T` wipes itself when dropped.
pub(crate) struct Guarded<T>(Box<Pages<T>>);

/// Whole pages, where they have 4 KiB.
#[repr(align(4096))]
struct Pages<T>(T);

impl<T> Guarded<T> {
    pub(crate) fn new(value: T) -> Self {
        let pages = Box::new(Pages(value));
        lock(&raw const *pages, size_of::<Pages<T>>());
        Self(pages)
    }
}

impl<T> Deref for Guarded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.0
    }
}

impl<T> fmt::Debug for Guarded<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Guarded(..)")
    }
}

impl<T> Drop for Guarded<T> {
    fn drop(&mut self) {
        // The value is wiped by its own Drop, after this; what is left to happen between takes no
        // longer than that.
        unlock(&raw const *self.0, size_of::<Pages<T>>());
    }
}
