//! One zram device: its files in `/sys/block` and its node in `/dev`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use kinglet_model::{ActionState, Size};

use super::stat::{MmStat, algorithms, mm_stat};
use crate::proc;
use crate::swap::{LABEL_OF_ZRAM, SwapHeader};
use crate::sys;

/// A zram device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Device {
    index: u32,
    sys: PathBuf,
    dev: PathBuf,
}

impl Device {
    pub(super) fn new(index: u32, sys: &Path, dev: &Path) -> Self {
        Self {
            index,
            sys: sys.to_owned(),
            dev: dev.to_owned(),
        }
    }

    pub(super) fn name(&self) -> String {
        format!("zram{}", self.index)
    }

    pub(super) fn node(&self) -> PathBuf {
        self.dev.join(self.name())
    }

    /// Gives it algorithm, size and header, and has the kernel swap to it.
    pub(super) fn set_up(
        &self,
        size: Size,
        algorithm: Option<&str>,
        priority: u16,
    ) -> io::Result<()> {
        if let Some(algorithm) = algorithm {
            self.write("comp_algorithm", algorithm)?;
        }
        self.write("disksize", &size.0.to_string())?;
        let page_size = rustix::param::page_size();
        let header = SwapHeader::new(size.0 / page_size as u64, LABEL_OF_ZRAM)
            .encode(page_size)
            .ok_or_else(|| io::Error::other("its header cannot count that many pages"))?;
        let node = OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.node())?;
        node.write_all_at(&header, 0)?;
        node.sync_all()?;
        sys::swapon(node.as_fd(), Some(priority))
    }

    pub(super) fn off(&self) -> io::Result<()> {
        sys::swapoff(File::open(self.node())?.as_fd())
    }

    /// Frees its memory and removes it. Refused by the kernel while it is in use.
    pub(super) fn take_away(&self) -> io::Result<()> {
        self.write("reset", "1")?;
        let control = self.sys.join("class/zram-control/hot_remove");
        OpenOptions::new()
            .write(true)
            .open(control)?
            .write_all(self.index.to_string().as_bytes())
    }

    /// Whether its header is one that Kinglet wrote. A device of no size has none.
    pub(super) fn is_ours(&self) -> bool {
        self.size().0 > 0
            && self
                .header()
                .is_some_and(|header| header.label == LABEL_OF_ZRAM)
    }

    fn header(&self) -> Option<SwapHeader> {
        let mut page = vec![0; rustix::param::page_size()];
        File::open(self.node()).ok()?.read_exact(&mut page).ok()?;
        SwapHeader::decode(&page)
    }

    pub(super) fn size(&self) -> Size {
        Size(proc::number(&self.file("disksize")).unwrap_or(0))
    }

    pub(super) fn algorithms(&self) -> Vec<String> {
        self.read("comp_algorithm")
            .map_or_else(Vec::new, |text| algorithms(&text).0)
    }

    pub(super) fn algorithm(&self) -> Option<String> {
        algorithms(&self.read("comp_algorithm")?).1
    }

    pub(super) fn mm_stat(&self) -> Option<MmStat> {
        mm_stat(&self.read("mm_stat")?)
    }

    pub(super) fn write_back(&self) -> ActionState {
        super::write_back(self.file("backing_dev").exists())
    }

    fn file(&self, name: &str) -> PathBuf {
        self.sys.join("block").join(self.name()).join(name)
    }

    fn read(&self, name: &str) -> Option<String> {
        proc::word(&self.file(name))
    }

    fn write(&self, name: &str, value: &str) -> io::Result<()> {
        OpenOptions::new()
            .write(true)
            .open(self.file(name))?
            .write_all(value.as_bytes())
    }
}
