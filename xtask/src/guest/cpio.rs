//! Writing an initramfs: the cpio format that Linux unpacks ("newc",
//! `Documentation/driver-api/early-userspace/buffer-format.rst`). Everything belongs to root.

use anyhow::{Context, Result};

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// An archive under construction. Folders must be added before what is in them.
#[derive(Default)]
pub struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a folder; `path` has no leading slash.
    pub fn folder(&mut self, path: &str) -> Result<()> {
        self.entry(path, DIRECTORY | 0o755, &[])
    }

    /// Adds a file with permission bits `mode`.
    pub fn file(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.entry(path, FILE | mode, content)
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, target: &str) -> Result<()> {
        self.entry(path, LINK | 0o777, target.as_bytes())
    }

    /// The finished archive.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        self.entries = 0;
        self.entry("TRAILER!!!", 0, &[])?;
        Ok(self.bytes)
    }

    fn entry(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<()> {
        let size = u32::try_from(content.len())
            .with_context(|| format!("{path} is too large for an initramfs"))?;
        let inode = self.entries;
        self.entries += 1;
        // Inode, mode, owner, group, links, time, size, 4 × device, name's length, checksum.
        let name = u32::try_from(path.len() + 1).context("a path is too long")?;
        let fields = [inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name, 0];
        self.bytes.extend_from_slice(b"070701");
        for field in fields {
            self.bytes
                .extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
        Ok(())
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::tool::tool;

    #[test]
    fn entry_has_the_newc_layout() {
        let mut archive = Archive::default();
        archive.file("a", 0o644, b"hello").unwrap();
        let bytes = archive.finish().unwrap();
        assert_eq!(&bytes[..22], b"07070100000000000081a4");
        assert_eq!(&bytes[54..62], b"00000005");
        // Header 110, "a\0" to a multiple of four, then the content.
        assert_eq!(&bytes[110..120], b"a\0hello\0\0\0");
        assert_eq!(bytes.len() % 4, 0);
    }

    #[test]
    fn busybox_lists_what_we_packed() {
        let folder = tempfile::tempdir().unwrap();
        let mut archive = Archive::default();
        archive.folder("bin").unwrap();
        archive.file("bin/tool", 0o755, &[7; 4097]).unwrap();
        archive.link("sh", "bin/tool").unwrap();
        let path = folder.path().join("x.cpio");
        fs::write(&path, archive.finish().unwrap()).unwrap();
        let mut list = tool("busybox").unwrap();
        let output = list.args(["cpio", "-t", "-F"]).arg(&path).output().unwrap();
        assert_eq!(
            String::from_utf8(output.stdout).unwrap(),
            "bin\nbin/tool\nsh\n"
        );
    }
}
