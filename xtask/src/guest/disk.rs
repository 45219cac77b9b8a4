//! The Debian guest's disk: a GPT with a BIOS boot partition, an ESP and the root.
//!
//! Everything is written straight into one sparse file, at offsets. Partition numbers follow
//! Debian's cloud images: the root is number 1 and last, so that it can grow.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use super::tree::Tree;
use crate::tool::{run, tool};

/// Bytes of a sector, as GPT and GRUB count them.
pub const SECTOR: u64 = 512;

/// The whole disk: 2 GiB.
const DISK_SECTORS: u64 = 2 * 1024 * 1024 * 1024 / SECTOR;

/// Where GRUB for BIOS lies. Starts at the first MiB, as partitions do.
pub const BIOS_BOOT: Extent = Extent {
    start: 2048,
    sectors: 6 * 1024,
};

/// The EFI system partition.
pub const ESP: Extent = Extent {
    start: BIOS_BOOT.end(),
    sectors: 32 * 1024,
};

/// The root file system: all the rest.
const ROOT: Extent = Extent {
    start: ESP.end(),
    sectors: root_end() - ESP.end(),
};

/// Identity of the root file system; fixed, so that boot loader and fstab can name it.
pub const ROOT_UUID: &str = "6b696e67-6c65-4074-8000-64656269616e";
const DISK_UUID: &str = "6B696E67-6C65-4074-8000-00006469736B";

/// Partition types, as the UEFI and the discoverable partitions specifications name them.
const TYPE_BIOS_BOOT: &str = "21686148-6449-6E6F-744E-656564454649";
const TYPE_ESP: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
const TYPE_ROOT_X86_64: &str = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709";

/// A partition's place on the disk, in sectors.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// The first sector.
    pub start: u64,
    /// How many.
    pub sectors: u64,
}

impl Extent {
    /// The first byte's offset on the disk.
    pub const fn offset(self) -> u64 {
        self.start * SECTOR
    }

    /// Its size in bytes.
    pub const fn bytes(self) -> u64 {
        self.sectors * SECTOR
    }

    const fn end(self) -> u64 {
        self.start + self.sectors
    }
}

/// The backup GPT takes the last 33 sectors; what remains is rounded to whole 4 KiB, as
/// systemd-repart does, or it would rewrite the table at the first boot.
const fn root_end() -> u64 {
    (DISK_SECTORS - 33) / 8 * 8
}

/// Makes `disk` with partitions and file systems, the root's filled from `tree`.
pub fn make(tree: &Tree, disk: &Path) -> Result<()> {
    let file = File::create_new(disk).with_context(|| format!("{}", disk.display()))?;
    file.set_len(DISK_SECTORS * SECTOR)
        .context("the disk file cannot be extended")?;
    partition(disk)?;
    run(tool("mkfs.vfat")?
        .args(["-F", "16", "-n", "ESP", "-i", "6B696E67"])
        .arg(format!("--offset={}", ESP.start))
        .arg(disk)
        .arg((ESP.bytes() / 1024).to_string()))
    .context("the ESP could not be made")?;
    format_root(tree, disk).context("the root file system could not be made")
}

fn partition(disk: &Path) -> Result<()> {
    let mut sfdisk = tool("sfdisk")?
        .args([
            "--quiet",
            "--no-reread",
            "--no-tell-kernel",
            "--color=never",
        ])
        .arg(disk)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .context("sfdisk could not be started")?;
    let mut input = sfdisk.stdin.take().context("sfdisk has an input")?;
    input
        .write_all(table().as_bytes())
        .context("sfdisk did not take the table")?;
    drop(input);
    let status = sfdisk.wait().context("sfdisk could not be waited for")?;
    if !status.success() {
        bail!("the disk could not be partitioned: sfdisk failed ({status})");
    }
    Ok(())
}

/// The partition table in sfdisk's language.
fn table() -> String {
    let line = |number: u32, extent: Extent, kind: &str, name: &str| {
        let Extent { start, sectors } = extent;
        format!("{number} : start={start}, size={sectors}, type={kind}, name=\"{name}\"\n")
    };
    [
        format!("label: gpt\nlabel-id: {DISK_UUID}\nunit: sectors\n"),
        line(14, BIOS_BOOT, TYPE_BIOS_BOOT, "bios"),
        line(15, ESP, TYPE_ESP, "esp"),
        line(1, ROOT, TYPE_ROOT_X86_64, "root"),
    ]
    .concat()
}

fn format_root(tree: &Tree, disk: &Path) -> Result<()> {
    // The file is sparse: everything unwritten reads as zero, so nothing has to be zeroed now
    // or by the guest in the background.
    let extended = format!(
        "offset={},root_owner=0:0,assume_storage_prezeroed=1,lazy_itable_init=0",
        ROOT.offset()
    );
    run(tree
        .reader("mke2fs")?
        .args([
            "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "1", "-J", "size=16",
        ])
        .args(["-L", "root", "-U", ROOT_UUID, "-E", &extended, "-d"])
        .arg(tree.path("/"))
        .arg(disk)
        .arg(format!("{}k", ROOT.bytes() / 1024)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_follow_each_other_inside_the_disk() {
        assert_eq!(ESP.start, BIOS_BOOT.end());
        assert_eq!(ROOT.start, ESP.end());
        let last_usable = DISK_SECTORS - 34;
        assert!(ROOT.end() - 1 <= last_usable);
        assert!(last_usable - (ROOT.end() - 1) < 8, "the root wastes space");
        for extent in [BIOS_BOOT, ESP, ROOT] {
            assert_eq!(
                extent.offset() % (1024 * 1024),
                0,
                "{extent:?} is not aligned"
            );
        }
        assert_eq!(ROOT.bytes() % 4096, 0);
    }

    #[test]
    fn table_is_what_sfdisk_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let disk = folder.path().join("disk");
        File::create(&disk)
            .unwrap()
            .set_len(DISK_SECTORS * SECTOR)
            .unwrap();
        partition(&disk).unwrap();
        let dump = tool("sfdisk")
            .unwrap()
            .arg("--dump")
            .arg(&disk)
            .output()
            .unwrap();
        let dump = String::from_utf8(dump.stdout).unwrap();
        for (number, extent, kind) in [
            (14, BIOS_BOOT, TYPE_BIOS_BOOT),
            (15, ESP, TYPE_ESP),
            (1, ROOT, TYPE_ROOT_X86_64),
        ] {
            let line = dump
                .lines()
                .find(|l| l.contains(&format!("disk{number} :")))
                .unwrap();
            let line = line.replace(' ', "");
            let wanted = format!("start={},size={},type={kind}", extent.start, extent.sectors);
            assert!(line.contains(&wanted), "{line} lacks {wanted}");
        }
    }
}
