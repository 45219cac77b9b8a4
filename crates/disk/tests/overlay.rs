//! Disks that are written here, judged by `qemu-img` and `qemu-io`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod judge;

use std::path::Path;

use judge::{io, qemu_img, qemu_info};
use kinglet_disk::overlay::{self, Backing, CreateError};
use kinglet_disk::{Limits, probe};
use kinglet_model::Size;
use kinglet_model::image::Format;

fn checked(path: &Path) {
    let report = qemu_img(&["check", "--output=json", path.to_str().unwrap()]);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["check-errors"], 0, "{report}");
    for bad in ["leaks", "corruptions"] {
        assert!(report.get(bad).is_none_or(|n| n == 0), "{report}");
    }
}

#[test]
fn empty_qcow2_of_any_size_is_accepted_by_qemu() {
    let dir = tempfile::tempdir().unwrap();
    for size in [1, 512, 65536, (512 << 20) + 1, 10 << 30, 5 << 40, 1 << 50] {
        let path = dir.path().join(format!("{size}.qcow2"));
        overlay::create_qcow2(&path, Size(size)).unwrap();
        checked(&path);
        let info = qemu_info(&path, None);
        let rounded = u64::next_multiple_of(size, 512);
        assert_eq!(info["virtual-size"], rounded);
        assert_eq!(info["format"], "qcow2");
        assert_eq!(info["format-specific"]["data"]["compat"], "1.1");
        let found = probe(&std::fs::File::open(&path).unwrap(), &Limits::default()).unwrap();
        assert_eq!(found.format, Format::Qcow2);
        assert_eq!(found.virtual_size, Some(Size(rounded)));
        assert!(found.wholeness.is_whole(), "{found:?}");
    }
}

#[test]
fn overlay_records_name_and_format_and_keeps_the_image_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..(3u32 << 20) / 4)
        .flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let raw = dir.path().join("disk with spaces, commas and: colons.raw");
    std::fs::write(&raw, &content).unwrap();
    for (format, driver) in [
        (Format::Raw, "raw"),
        (Format::Qcow2, "qcow2"),
        (Format::Vmdk, "vmdk"),
        (Format::Vhdx, "vhdx"),
    ] {
        let base = dir.path().join(format!("base.{driver}"));
        qemu_img(&[
            "convert",
            "-f",
            "raw",
            "-O",
            driver,
            raw.to_str().unwrap(),
            base.to_str().unwrap(),
        ]);
        let before = std::fs::read(&base).unwrap();
        let path = dir.path().join(format!("over-{driver}.qcow2"));
        let backing = Backing {
            path: &base,
            format,
            size: Size(content.len() as u64),
        };
        overlay::create(&path, &backing, Size::mib(8)).unwrap();
        checked(&path);
        let info = qemu_info(&path, None);
        assert_eq!(info["backing-filename"], base.to_str().unwrap());
        assert_eq!(info["backing-filename-format"], driver);
        assert_eq!(info["virtual-size"], 8 << 20);
        qemu_img(&["compare", path.to_str().unwrap(), raw.to_str().unwrap()]);
        io(
            &path,
            &[
                "write -P 0xab 1000 70000",
                "write -P 0xcd 4M 4M",
                "read -P 0xab 1000 70000",
                "read -P 0xcd 4M 4M",
                "read -P 0 3M 1M",
            ],
        );
        checked(&path);
        assert!(
            std::fs::read(&base).unwrap() == before,
            "{driver}: the image was written"
        );
        let found = probe(&std::fs::File::open(&path).unwrap(), &Limits::default()).unwrap();
        assert_eq!(found.refers_to, [base.to_str().unwrap()]);
        assert!(!found.wholeness.is_whole());
    }
}

#[test]
fn overlay_of_a_raw_disk_shows_its_bytes_whatever_they_look_like() {
    let dir = tempfile::tempdir().unwrap();
    let inner = dir.path().join("inner.qcow2");
    qemu_img(&[
        "create",
        "-f",
        "qcow2",
        "-b",
        "/etc/passwd",
        "-F",
        "raw",
        inner.to_str().unwrap(),
        "1M",
    ]);
    let path = dir.path().join("over.qcow2");
    let size = Size(
        std::fs::metadata(&inner)
            .unwrap()
            .len()
            .next_multiple_of(512),
    );
    overlay::create(
        &path,
        &Backing {
            path: &inner,
            format: Format::Raw,
            size,
        },
        size,
    )
    .unwrap();
    let out = dir.path().join("out.raw");
    qemu_img(&[
        "convert",
        "-O",
        "raw",
        path.to_str().unwrap(),
        out.to_str().unwrap(),
    ]);
    assert!(
        std::fs::read(out)
            .unwrap()
            .starts_with(&std::fs::read(&inner).unwrap())
    );
}

#[test]
fn create_refuses_what_would_not_work_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    let base = dir.path().join("base");
    let backing = |path, format| Backing {
        path,
        format,
        size: Size::mib(2),
    };
    let refused = [
        overlay::create(
            &path,
            &backing(Path::new("relative"), Format::Raw),
            Size::mib(2),
        ),
        overlay::create(
            &path,
            &backing(Path::new("nbd:host:1"), Format::Raw),
            Size::mib(2),
        ),
        overlay::create(&path, &backing(&base, Format::Kernel), Size::mib(2)),
        overlay::create(&path, &backing(&base, Format::Raw), Size::mib(1)),
        overlay::create_qcow2(&path, Size(0)),
        overlay::create_qcow2(&path, Size(u64::MAX)),
        overlay::create_raw(&path, Size(0)),
        overlay::create_raw(&dir.path().join("no/such/folder"), Size(512)),
    ];
    for result in refused {
        assert!(result.is_err());
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(
        overlay::create_raw(&path, Size(512)),
        Err(CreateError::Write { .. })
    ));
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn raw_disk_takes_no_space() {
    use std::os::unix::fs::MetadataExt;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk.raw");
    overlay::create_raw(&path, Size::gib(64)).unwrap();
    let metadata = std::fs::metadata(&path).unwrap();
    assert_eq!(metadata.len(), 64 << 30);
    assert!(metadata.blocks() < 64);
    assert_eq!(metadata.mode() & 0o777, 0o600);
}
