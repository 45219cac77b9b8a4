//! What swapping does to flash: whether a file lies on a card, a stick or eMMC, how much is written there
//! a day, and how much of its life the device says is used. And swappiness, which steers it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use kinglet_model::Size;
use kinglet_model::memory::{FlashKind, FlashWear};
use rustix::fs::{major, minor};

use crate::proc::{self, vmstat};

/// A loop device on a file on a mapped disk: no host stacks more.
const DEEPEST: usize = 6;
/// What the kernel takes for swappiness since 5.8.
const MOST_SWAPPINESS: u16 = 200;
const DAY: u64 = 86_400;

/// The wear of the flash that a file lies on. `None` where it lies on none, or where that cannot be
/// told.
#[must_use]
pub fn of_file(proc_root: &Path, sys: &Path, file: &Path) -> Option<FlashWear> {
    let disk = disk_of_file(proc_root, sys, file, 0)?;
    of_disk(proc_root, &disk)
}

fn disk_of_file(proc_root: &Path, sys: &Path, file: &Path, depth: usize) -> Option<PathBuf> {
    let device = fs::metadata(file).ok()?.dev();
    let number = match major(device) {
        // Btrfs has numbers of its own; the table of mounts names its disk.
        0 => mounted(proc_root, device)?,
        _ => device,
    };
    let node = sys.join(format!("dev/block/{}:{}", major(number), minor(number)));
    disk_of_node(proc_root, sys, &fs::canonicalize(node).ok()?, depth)
}

/// Down from partitions, loop devices and mappings to the disk itself.
fn disk_of_node(proc_root: &Path, sys: &Path, node: &Path, depth: usize) -> Option<PathBuf> {
    if depth > DEEPEST {
        return None;
    }
    if node.join("partition").exists() {
        return Some(node.parent()?.to_owned());
    }
    if let Some(backing) = proc::word(&node.join("loop/backing_file")) {
        return disk_of_file(proc_root, sys, Path::new(&backing), depth + 1);
    }
    let below = fs::read_dir(node.join("slaves"))
        .ok()
        .and_then(|mut slaves| slaves.next());
    match below {
        Some(below) => {
            let below = fs::canonicalize(below.ok()?.path()).ok()?;
            disk_of_node(proc_root, sys, &below, depth + 1)
        }
        None => Some(node.to_owned()),
    }
}

/// The number of the disk that is mounted as `device`.
fn mounted(proc_root: &Path, device: u64) -> Option<u64> {
    let text = proc::read(&proc_root.join("self/mountinfo")).ok()?;
    let source = mount_source(&text, major(device), minor(device))?;
    Some(fs::metadata(source).ok()?.rdev()).filter(|number| major(*number) != 0)
}

/// The source of a mount in `mountinfo`: `36 35 0:31 / /data rw - btrfs /dev/mmcblk0p2 rw`.
fn mount_source(text: &str, major: u32, minor: u32) -> Option<&str> {
    let number = format!("{major}:{minor}");
    text.lines().find_map(|line| {
        let (mount, source) = line.split_once(" - ")?;
        let found = mount.split(' ').nth(2) == Some(number.as_str());
        source.split(' ').nth(1).filter(|_| found)
    })
}

fn of_disk(proc_root: &Path, disk: &Path) -> Option<FlashWear> {
    let kind = kind(disk)?;
    let capacity = Size(proc::number(&disk.join("size"))?.checked_mul(512)?);
    let written_per_day = written_per_day(proc_root).unwrap_or(Size(0));
    let life_used = proc::word(&disk.join("device/life_time")).and_then(|text| life_used(&text));
    Some(FlashWear {
        kind,
        device: disk.file_name()?.to_string_lossy().into_owned(),
        capacity,
        written_per_day,
        life_used,
        note: note(kind, capacity, written_per_day, life_used),
    })
}

fn kind(disk: &Path) -> Option<FlashKind> {
    let name = disk.file_name()?.to_str()?;
    if name.starts_with("mmcblk") {
        let card = proc::word(&disk.join("device/type")).is_some_and(|kind| kind == "SD");
        return Some(if card { FlashKind::Sd } else { FlashKind::Emmc });
    }
    let on_usb = disk
        .components()
        .filter_map(|part| part.as_os_str().to_str())
        .any(|part| {
            part.strip_prefix("usb")
                .is_some_and(|rest| rest.parse::<u32>().is_ok())
        });
    // A USB disk that turns is not flash. Bridges that do not tell are taken for flash.
    let turns = proc::number(&disk.join("queue/rotational")) == Some(1);
    (on_usb && !turns).then_some(FlashKind::Usb)
}

/// eMMC's two estimates, in steps of 10 %, of which the worse counts (JEDEC 84-B51, EXT_CSD 268, 269).
fn life_used(text: &str) -> Option<u8> {
    let step = |word: &str| u8::from_str_radix(word.trim_start_matches("0x"), 16).ok();
    let worst = text.split_ascii_whitespace().filter_map(step).max()?;
    (1..=11).contains(&worst).then(|| worst * 10)
}

/// What was swapped out since boot, as of a day. Less than an hour says nothing about a day.
fn written_per_day(proc_root: &Path) -> Option<Size> {
    let uptime = proc::word(&proc_root.join("uptime"))?;
    let seconds: f64 = uptime.split(' ').next()?.parse().ok()?;
    let pages = vmstat(&proc::read(&proc_root.join("vmstat")).ok()?).swapped_out;
    let bytes = u128::from(pages) * rustix::param::page_size() as u128;
    let seconds = if seconds.is_finite() {
        seconds.max(3600.0) as u128
    } else {
        return None;
    };
    u64::try_from(bytes * u128::from(DAY) / seconds)
        .ok()
        .map(Size)
}

fn note(kind: FlashKind, capacity: Size, per_day: Size, life_used: Option<u8>) -> String {
    let (name, cycles) = match kind {
        FlashKind::Emmc => ("eMMC", 1000),
        FlashKind::Sd => ("a memory card", 500),
        FlashKind::Usb => ("USB flash", 500),
    };
    let life = life_used.map_or_else(String::new, |used| match used {
        110.. => " The device says that it is past its life: replace it.".to_owned(),
        used => format!(" The device says that up to {used} % of its life are used."),
    });
    let days = u128::from(capacity.0) * cycles / u128::from(per_day.0.max(1));
    let pace = match (per_day.0, days / 365) {
        (0, _) => "Nothing was swapped out since the host booted.".to_owned(),
        (_, 0) => format!("At {per_day} a day it would be worn out in about {days} days."),
        (_, years @ 1..50) => {
            format!("At {per_day} a day it would be worn out in about {years} years.")
        }
        _ => format!("At {per_day} a day that does not matter."),
    };
    format!(
        "The swap file lies on {name}, which wears out by writing. {pace}{life} zram spares it: switch \
         that on first."
    )
}

/// How readily the kernel swaps (`vm.swappiness`): 0 hardly ever, 100 as readily as it drops cached
/// files, up to 200 for swap that is faster than the disk.
#[must_use]
pub fn swappiness(proc_root: &Path) -> Option<u16> {
    proc::word(&proc_root.join("sys/vm/swappiness"))?
        .parse()
        .ok()
}

/// Sets swappiness until the next boot.
///
/// # Errors
/// `InvalidInput` above 200; else what the kernel says.
pub fn set_swappiness(proc_root: &Path, value: u16) -> io::Result<()> {
    if value > MOST_SWAPPINESS {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "swappiness {value} is out of range; it is a number from 0 to {MOST_SWAPPINESS}"
            ),
        ));
    }
    fs::write(proc_root.join("sys/vm/swappiness"), value.to_string())
}

/// The swappiness that fits: high for zram, which costs no wear; low for flash; else the kernel's own.
#[must_use]
pub const fn advised_swappiness(zram: bool, flash: bool) -> u16 {
    match (zram, flash) {
        (true, _) => 150,
        (false, true) => 10,
        (false, false) => 60,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    fn tree(files: &[(&str, &str)]) -> TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn card_is_found_below_a_partition_and_a_mapping() {
        let root = tree(&[
            ("devices/mmc0/block/mmcblk0/size", "62333952\n"),
            ("devices/mmc0/block/mmcblk0/device/type", "SD\n"),
            ("devices/mmc0/block/mmcblk0/mmcblk0p2/partition", "2\n"),
            ("devices/virtual/block/dm-0/slaves/x", ""),
            ("uptime", "864000.5 1.0\n"),
            ("vmstat", "pswpout 25600000\n"),
        ]);
        let slaves = root.path().join("devices/virtual/block/dm-0/slaves");
        fs::remove_file(slaves.join("x")).unwrap();
        let partition = root.path().join("devices/mmc0/block/mmcblk0/mmcblk0p2");
        symlink(&partition, slaves.join("mmcblk0p2")).unwrap();
        let mapping = root.path().join("devices/virtual/block/dm-0");
        for node in [&partition, &mapping] {
            let disk = disk_of_node(root.path(), root.path(), node, 0).unwrap();
            let wear = of_disk(root.path(), &disk).unwrap();
            assert_eq!(
                (wear.kind, wear.device.as_str()),
                (FlashKind::Sd, "mmcblk0")
            );
            assert_eq!(wear.capacity, Size(62_333_952 * 512));
            assert_eq!(
                wear.written_per_day.0,
                2_560_000 * rustix::param::page_size() as u64
            );
            assert!(
                wear.note.contains("a memory card") && wear.note.contains("years"),
                "{}",
                wear.note
            );
        }
    }

    #[test]
    fn emmc_tells_its_life_and_usb_is_flash_unless_it_turns() {
        let root = tree(&[
            ("mmcblk1/size", "1000\n"),
            ("mmcblk1/device/type", "MMC\n"),
            ("mmcblk1/device/life_time", "0x02 0x03\n"),
            ("pci/usb3/3-1/block/sdb/size", "1000\n"),
            ("pci/usb3/3-1/block/sdc/queue/rotational", "1\n"),
            ("pci/usbmon/block/sdd/size", "1000\n"),
        ]);
        let emmc = of_disk(root.path(), &root.path().join("mmcblk1")).unwrap();
        assert_eq!((emmc.kind, emmc.life_used), (FlashKind::Emmc, Some(30)));
        assert!(emmc.note.contains("up to 30 %"), "{}", emmc.note);
        assert_eq!(
            kind(&root.path().join("pci/usb3/3-1/block/sdb")),
            Some(FlashKind::Usb)
        );
        assert_eq!(kind(&root.path().join("pci/usb3/3-1/block/sdc")), None);
        assert_eq!(kind(&root.path().join("pci/usbmon/block/sdd")), None);
    }

    #[test]
    fn life_of_nonsense_is_absent() {
        for text in ["", "0x00 0x00", "x y", "0xff 0x01", "0x0c"] {
            assert_eq!(life_used(text), None, "{text:?}");
        }
        assert_eq!(life_used("0x0b 0x01"), Some(110));
    }

    #[test]
    fn mount_source_is_found_by_number() {
        let text = "1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
                    36 35 0:31 / /data rw - btrfs /dev/mmcblk0p2 rw\ngarbage\n9 - x\n";
        assert_eq!(mount_source(text, 0, 31), Some("/dev/mmcblk0p2"));
        assert_eq!(mount_source(text, 0, 32), None);
    }

    #[test]
    fn swappiness_is_bounded() {
        let root = tree(&[("sys/vm/swappiness", "60\n")]);
        assert_eq!(swappiness(root.path()), Some(60));
        assert!(set_swappiness(root.path(), 201).is_err());
        set_swappiness(root.path(), advised_swappiness(false, true)).unwrap();
        assert_eq!(swappiness(root.path()), Some(10));
    }

    #[test]
    fn disk_of_this_machine_is_found() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let disk = disk_of_file(Path::new("/proc"), Path::new("/sys"), &file, 0).unwrap();
        assert!(disk.join("size").exists(), "{}", disk.display());
    }
}
