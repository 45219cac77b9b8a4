//! `/proc/swaps`: what the kernel swaps to now.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use kinglet_model::Size;
use kinglet_model::memory::SwapDevice;

/// A line of `/proc/swaps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveSwap {
    /// The file or device, as the kernel names it.
    pub path: PathBuf,
    /// `file`, `partition` …
    pub kind: String,
    /// What can be swapped to it.
    pub size: Size,
    /// What is swapped to it.
    pub used: Size,
    /// Its priority.
    pub priority: i32,
}

impl ActiveSwap {
    /// What can still be swapped to it.
    #[must_use]
    pub fn free(&self) -> Size {
        Size(self.size.0.saturating_sub(self.used.0))
    }

    /// The same in the vocabulary of the API.
    #[must_use]
    pub fn device(&self) -> SwapDevice {
        SwapDevice {
            path: self.path.display().to_string(),
            kind: self.kind.clone(),
            size: self.size,
            used: self.used,
            priority: self.priority,
        }
    }
}

/// Reads `/proc/swaps`.
#[must_use]
pub fn swaps(text: &str) -> Vec<ActiveSwap> {
    text.lines().skip(1).filter_map(line).collect()
}

fn line(text: &str) -> Option<ActiveSwap> {
    // From the right: the path is escaped, but a deleted file's has a blank before "(deleted)" on
    // some kernels.
    let mut words: Vec<&str> = text.split_ascii_whitespace().collect();
    let priority = words.pop()?.parse().ok()?;
    let used = kibibytes(words.pop()?)?;
    let size = kibibytes(words.pop()?)?;
    let kind = words.pop()?.to_owned();
    let path = unescape(words.first()?);
    Some(ActiveSwap {
        path: PathBuf::from(OsString::from_vec(path)),
        kind,
        size,
        used,
        priority,
    })
}

fn kibibytes(word: &str) -> Option<Size> {
    word.parse::<u64>().ok()?.checked_mul(1024).map(Size)
}

/// Undoes the `\040` of the kernel's `seq_path`, which `fstab` uses too.
pub(crate) fn unescape(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = bytes
            .get(at + 1..at + 4)
            .filter(|_| bytes[at] == b'\\')
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        out.push(octal.unwrap_or(bytes[at]));
        at += if octal.is_some() { 4 } else { 1 };
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
        /dev/sda2                               partition\t8388604\t\t1024\t\t-2\n\
        /data/my\\040swap\\134file                 file\t\t16380\t\t0\t\t10\n\
        /gone\\040(deleted)                      file\t\t16380\t\t4\t\t5\n";

    #[test]
    fn swaps_reads_the_kernels_table() {
        let all = swaps(TEXT);
        assert_eq!(all.len(), 3);
        assert_eq!(all[0].path, PathBuf::from("/dev/sda2"));
        assert_eq!(all[0].free(), Size(8_388_604 * 1024 - 1024 * 1024));
        assert_eq!(all[0].priority, -2);
        assert_eq!(all[1].path, PathBuf::from("/data/my swap\\file"));
        assert_eq!(all[2].path, PathBuf::from("/gone (deleted)"));
    }

    #[test]
    fn swaps_passes_over_what_it_does_not_understand() {
        for text in [
            "",
            "Filename",
            "h\n/a file x 0 1\n",
            "h\n/a file 1 0\n",
            "h\n/a file 18446744073709551615 0 1\n",
            "h\n\n \n",
        ] {
            assert_eq!(swaps(text), [], "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn swaps_never_panics(text in "(.|\n){0,200}") { let _ = swaps(&text); }

        #[test]
        fn unescape_never_panics(text in "[\\\\0-9a-zé]{0,30}") { let _ = unescape(&text); }
    }
}
