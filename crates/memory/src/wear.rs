//! What swapping does to flash.

use std::path::Path;

use kinglet_model::memory::FlashWear;

/// The wear of the flash that a file lies on. `None` where it lies on none.
#[must_use]
pub fn of_file(_proc: &Path, _sys: &Path, _file: &Path) -> Option<FlashWear> {
    None
}
