//! The tools that judge what this crate does: `qemu-img`, `qemu-io` and others. A tool that is missing
//! fails the test, naming it.
#![allow(dead_code, reason = "each test file uses some of it")]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

/// Runs a tool, which has to succeed; returns what it printed.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .output()
        .unwrap_or_else(|error| panic!("this test needs {program}: {error}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs `qemu-img`.
pub fn qemu_img(arguments: &[&str]) -> String {
    run("qemu-img", arguments)
}

/// `qemu-img info`, with a format or detecting it.
pub fn qemu_info(path: &Path, format: Option<&str>) -> serde_json::Value {
    let mut arguments = vec!["info", "--output=json"];
    if let Some(format) = format {
        arguments.extend(["-f", format]);
    }
    arguments.push(path.to_str().unwrap());
    serde_json::from_str(&qemu_img(&arguments)).unwrap()
}

/// Runs `qemu-io` with commands; a pattern that does not match fails.
pub fn io(path: &Path, commands: &[&str]) {
    let mut arguments = Vec::new();
    for command in commands {
        arguments.extend(["-c", command]);
    }
    arguments.push(path.to_str().unwrap());
    let output = run("qemu-io", &arguments);
    assert!(!output.contains("failed"), "{output}");
}

/// Bytes of which the end is missing.
pub struct Cut<'a> {
    /// All of them.
    pub bytes: &'a [u8],
    /// How many are left.
    pub length: u64,
}

impl kinglet_disk::ReadAt for Cut<'_> {
    fn length(&self) -> std::io::Result<u64> {
        Ok(self.length)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        (&self.bytes[..self.length as usize]).read_at(buffer, offset)
    }
}

/// Numbers that look random and are the same each time (SplitMix64).
pub struct Numbers(pub u64);

impl Numbers {
    /// The next one, below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    /// Bytes that do not compress.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count.div_ceil(8))
            .flat_map(|_| self.below(u64::MAX).to_le_bytes())
            .take(count)
            .collect()
    }
}

/// What is found in a file.
pub fn probed(path: &Path) -> kinglet_disk::Probe {
    let file = std::fs::File::open(path).unwrap();
    kinglet_disk::probe(&file, &kinglet_disk::Limits::default()).unwrap()
}

/// What is found in bytes.
pub fn probed_bytes(bytes: &dyn kinglet_disk::ReadAt) -> kinglet_disk::Probe {
    kinglet_disk::probe::probe_bytes(bytes, &kinglet_disk::Limits::default()).unwrap()
}

/// The reason why it is damaged.
pub fn reason(found: &kinglet_disk::Probe) -> &str {
    match &found.wholeness {
        kinglet_disk::Wholeness::Whole => "whole",
        kinglet_disk::Wholeness::Damaged { reason, remedy } => {
            assert!(!remedy.is_empty());
            reason
        }
    }
}

/// That it is found whole, with the size that `qemu-img info` says, by the driver given.
pub fn agrees(path: &Path, format: kinglet_model::image::Format, driver: &str) {
    let found = probed(path);
    let info = qemu_info(path, Some(driver));
    assert_eq!(found.format, format, "{}: {found:?}", path.display());
    assert_eq!(reason(&found), "whole", "{}: {found:?}", path.display());
    let size = info["virtual-size"].as_u64().unwrap();
    assert_eq!(
        found.virtual_size.map(|size| size.bytes()),
        Some(size),
        "{}",
        path.display()
    );
}

/// That it is found damaged wherever it is cut, unless `same` finds that what is left of the file still
/// holds all of the disk (only padding was cut). Nothing goes wrong on the way.
pub fn damaged_wherever_cut(path: &Path, numbers: &mut Numbers, same: &dyn Fn(&Path) -> bool) {
    let bytes = std::fs::read(path).unwrap();
    let length = bytes.len() as u64;
    let mut cuts: Vec<u64> = (0..20).map(|_| numbers.below(length)).collect();
    cuts.extend([
        0,
        1,
        511,
        512,
        length / 2,
        length - 512,
        length.saturating_sub(4096),
    ]);
    for cut in cuts.into_iter().filter(|cut| *cut < length) {
        let found = probed_bytes(&Cut {
            bytes: &bytes,
            length: cut,
        });
        if !found.wholeness.is_whole() {
            continue;
        }
        let left = path.with_extension("left");
        std::fs::write(&left, &bytes[..cut as usize]).unwrap();
        assert!(
            same(&left),
            "{} cut at {cut} of {length}: {found:?}",
            path.display()
        );
        std::fs::remove_file(left).unwrap();
    }
}

/// For formats that have no padding at their end.
pub fn never(_: &Path) -> bool {
    false
}

/// Whether a disk and a raw one hold the same, as `qemu-img compare` sees it.
pub fn same_disk(disk: &Path, driver: &str, raw: &Path) -> bool {
    Command::new("qemu-img")
        .args(["compare", "-q", "-f", driver, "-F", "raw"])
        .args([disk, raw])
        .status()
        .unwrap()
        .success()
}
