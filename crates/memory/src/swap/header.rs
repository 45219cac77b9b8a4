//! The header of swap space: `union swap_header` of the kernel's `linux/swap.h`, version 1.
//!
//! It fills the first page. Numbers are in the machine's own byte order.
//!
//! ```text
//! 0     boot block, zero
//! 1024  version (u32) = 1        1028  last page (u32)     1032  bad pages (u32) = 0
//! 1036  UUID (16 bytes)          1052  label (16 bytes, NUL-padded)
//! page end − 10: "SWAPSPACE2"
//! ```

use uuid::Uuid;

const VERSION: usize = 1024;
const LAST_PAGE: usize = 1028;
const BAD_PAGES: usize = 1032;
const UUID: usize = 1036;
const LABEL: usize = 1052;
const LABEL_LENGTH: usize = 16;
const MAGIC: &[u8; 10] = b"SWAPSPACE2";
/// No page of any Linux is larger.
const LARGEST_PAGE: usize = 1 << 16;

/// The label by which Kinglet knows its own swap.
pub(crate) const LABEL_OF_FILE: &str = "kinglet-swap";
/// The label of zram devices that are Kinglet's own.
pub(crate) const LABEL_OF_ZRAM: &str = "kinglet-zram";

/// What the header of swap space says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SwapHeader {
    /// Pages in all, the header's own included.
    pub pages: u64,
    /// The identity that `swaplabel` and `blkid` show.
    pub uuid: Uuid,
    /// The label, at most 16 bytes.
    pub label: String,
}

impl SwapHeader {
    /// A header for swap space of `pages` pages with a fresh identity.
    #[must_use]
    pub fn new(pages: u64, label: &str) -> Self {
        Self {
            pages,
            uuid: Uuid::new_v4(),
            label: label.to_owned(),
        }
    }

    /// The first page. `None` where the pages cannot be counted in the header's 32 bits, the label is
    /// too long, or no machine has such pages.
    #[must_use]
    pub fn encode(&self, page_size: usize) -> Option<Vec<u8>> {
        let last = u32::try_from(self.pages.checked_sub(1)?).ok()?;
        if self.label.len() > LABEL_LENGTH || !is_page_size(page_size) {
            return None;
        }
        let mut page = vec![0; page_size];
        put(&mut page, VERSION, &1u32.to_ne_bytes());
        put(&mut page, LAST_PAGE, &last.to_ne_bytes());
        put(&mut page, BAD_PAGES, &0u32.to_ne_bytes());
        put(&mut page, UUID, self.uuid.as_bytes());
        put(&mut page, LABEL, self.label.as_bytes());
        put(&mut page, page_size - MAGIC.len(), MAGIC);
        Some(page)
    }

    /// Reads a first page. `None` where it is not swap space of this machine.
    #[must_use]
    pub fn decode(page: &[u8]) -> Option<Self> {
        if !is_page_size(page.len()) || !page.ends_with(MAGIC) || number(page, VERSION)? != 1 {
            return None;
        }
        let label = page.get(LABEL..LABEL + LABEL_LENGTH)?;
        let label = label.split(|byte| *byte == 0).next().unwrap_or(&[]);
        Some(Self {
            pages: u64::from(number(page, LAST_PAGE)?).checked_add(1)?,
            uuid: Uuid::from_slice(page.get(UUID..UUID + 16)?).ok()?,
            label: String::from_utf8_lossy(label).into_owned(),
        })
    }
}

fn is_page_size(size: usize) -> bool {
    size.is_power_of_two() && (4096..=LARGEST_PAGE).contains(&size)
}

fn put(page: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(target) = page.get_mut(at..at + bytes.len()) {
        target.copy_from_slice(bytes);
    }
}

fn number(page: &[u8], at: usize) -> Option<u32> {
    let bytes = page.get(at..at + 4)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn header_of_16_tib_is_the_largest() {
        let header = SwapHeader::new(1 << 32, LABEL_OF_FILE);
        assert_eq!(
            SwapHeader::decode(&header.encode(4096).unwrap()),
            Some(header)
        );
        assert_eq!(SwapHeader::new((1 << 32) + 1, "").encode(4096), None);
        assert_eq!(SwapHeader::new(0, "").encode(4096), None);
        assert_eq!(SwapHeader::new(10, "seventeen letters").encode(4096), None);
        assert_eq!(SwapHeader::new(10, "").encode(4095), None);
    }

    #[test]
    fn header_of_another_kind_is_not_read() {
        let page = SwapHeader::new(10, "x").encode(4096).unwrap();
        let mut old = page.clone();
        old[4096 - 1] = b'1';
        let mut other_version = page.clone();
        other_version[VERSION] = 2;
        for bytes in [&old[..], &other_version, &page[..4095], &[], &[0; 4096]] {
            assert_eq!(SwapHeader::decode(bytes), None);
        }
    }

    proptest! {
        #[test]
        fn header_survives(pages in 10u64..1 << 32, label in "[a-z]{0,16}", shift in 12u32..17) {
            let header = SwapHeader::new(pages, &label);
            let page = header.encode(1 << shift).unwrap();
            prop_assert_eq!(SwapHeader::decode(&page), Some(header));
        }

        #[test]
        fn decode_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 4096), magic: bool) {
            if magic {
                bytes[4086..].copy_from_slice(MAGIC);
                bytes[VERSION..VERSION + 4].copy_from_slice(&1u32.to_ne_bytes());
            }
            let _ = SwapHeader::decode(&bytes);
        }
    }
}
