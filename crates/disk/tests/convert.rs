//! Conversions, each judged by `qemu-img` (`check`, `compare`, `convert`) or by the compression's own tool:
//! every format in, every one out, over generated disks.
#![allow(clippy::unwrap_used, clippy::panic)]

mod judge;

use std::fs::File;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use judge::{Numbers, qemu_img, qemu_info, run};
use kinglet_disk::convert::{ClusterCompression, Input, Made, Options, Output, convert};
use kinglet_disk::source::stream::Unpacked;
use kinglet_disk::source::{Source, open};
use kinglet_model::image::{Compression, Format};

/// Every kind of image that `qemu-img` makes, with its options.
const IN: &[(Format, &str, &str)] = &[
    (Format::Raw, "raw", ""),
    (Format::Qcow2, "qcow2", "cluster_size=512"),
    (Format::Qcow2, "qcow2", "cluster_size=2M"),
    (Format::Qcow2, "qcow2", "compat=0.10"),
    (Format::Qcow2, "qcow2", "extended_l2=on"),
    (Format::Qcow2, "qcow2", "extended_l2=on,cluster_size=16k"),
    (Format::Qcow2, "qcow2", "compression_type=zlib -c"),
    (
        Format::Qcow2,
        "qcow2",
        "compression_type=zlib,cluster_size=4k -c",
    ),
    (Format::Qcow2, "qcow2", "compression_type=zstd -c"),
    (
        Format::Qcow2,
        "qcow2",
        "compression_type=zstd,cluster_size=2M -c",
    ),
    (Format::Qcow2, "qcow2", "preallocation=metadata"),
];

/// A disk whose bytes are of every kind: noise, text that compresses, zeros with and without holes.
fn disk(path: &Path, numbers: &mut Numbers, size: u64) {
    let file = File::create(path).unwrap();
    file.set_len(size).unwrap();
    let mut at = 0;
    while at < size {
        let length = (1 + numbers.below(300_000)).min(size - at);
        let bytes = match numbers.below(5) {
            0 => numbers.bytes(length as usize),
            1 => vec![0; length as usize],
            2 => vec![numbers.below(256) as u8; length as usize],
            3 => (0..length).map(|n| (n / 97 % 50) as u8).collect(),
            // A hole.
            _ => Vec::new(),
        };
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes, at).unwrap();
        at += length;
    }
}

/// Sizes from nothing to some clusters' worth, seldom round.
fn size(numbers: &mut Numbers) -> u64 {
    let bits = 10 + numbers.below(5);
    (numbers.below(1 << bits) + 1) * 512
}

fn open_path(path: &Path, format: Format) -> Box<dyn Source> {
    open(Arc::new(File::open(path).unwrap()), format).unwrap()
}

fn converted(source: &dyn Source, output: Output<'_>) -> Made {
    let options = Options {
        sums: true,
        ..Options::default()
    };
    let mut last = 0;
    let made = convert(Input::Disk(source), output, &options, &mut |progress| {
        assert!(progress.done >= last && progress.done <= source.length());
        assert_eq!(progress.total, Some(source.length()));
        last = progress.done;
        ControlFlow::Continue(())
    });
    let made = made.unwrap();
    assert_eq!((made.disk, last), (source.length(), source.length()));
    made
}

fn to_qcow2(source: &dyn Source, path: &Path, compression: Option<ClusterCompression>) {
    let to = File::create(path).unwrap();
    converted(
        source,
        Output::Qcow2 {
            to: &to,
            compression,
        },
    );
    let name = path.to_str().unwrap();
    // Leaks and errors both fail.
    qemu_img(&["check", "-q", "-f", "qcow2", name]);
    let info = qemu_info(path, Some("qcow2"));
    assert_eq!(info["virtual-size"], source.length().next_multiple_of(512));
}

fn same(a: &Path, a_format: &str, b: &Path, b_format: &str) {
    let (a, b) = (a.to_str().unwrap(), b.to_str().unwrap());
    qemu_img(&["compare", "-q", "-f", a_format, "-F", b_format, a, b]);
}

fn sha256(path: &Path) -> String {
    run("sha256sum", &[path.to_str().unwrap()])[..64].to_owned()
}

/// `raw` as an image of another kind.
fn made_by_qemu(raw: &Path, to: &Path, driver: &str, options: &str) {
    let mut arguments = vec!["convert", "-f", "raw", "-O", driver];
    let (options, flags) = options.split_once(' ').unwrap_or((options, ""));
    if !options.is_empty() {
        arguments.extend(["-o", options]);
    }
    if !flags.is_empty() {
        arguments.push(flags);
    }
    arguments.extend([raw.to_str().unwrap(), to.to_str().unwrap()]);
    qemu_img(&arguments);
}

struct Folder {
    _dir: tempfile::TempDir,
    raw: PathBuf,
    image: PathBuf,
    out: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        Self {
            raw: path("disk.raw"),
            image: path("image"),
            out: path("out"),
            _dir: dir,
        }
    }
}

#[test]
fn every_format_becomes_every_format() {
    let folder = Folder::new();
    let numbers = &mut Numbers(17);
    for round in 0..3 {
        for (format, driver, options) in IN {
            let size = size(numbers);
            disk(&folder.raw, numbers, size);
            made_by_qemu(&folder.raw, &folder.image, driver, options);
            let what = format!("round {round}, {driver} {options}");
            let source = open_path(&folder.image, *format);

            let out = File::create(&folder.out).unwrap();
            let made = converted(&*source, Output::Raw { to: &out, from: 0 });
            same(&folder.image, driver, &folder.out, "raw");
            assert_eq!(
                made.sha256.unwrap().to_string(),
                sha256(&folder.out),
                "{what}"
            );

            for compression in [
                None,
                Some(ClusterCompression::Zlib),
                Some(ClusterCompression::Zstd),
            ] {
                to_qcow2(&*source, &folder.out, compression);
                same(&folder.image, driver, &folder.out, "qcow2");
            }
            std::fs::remove_file(&folder.out).unwrap();
            std::fs::remove_file(&folder.image).unwrap();
        }
    }
}

#[test]
fn streams_are_what_their_tools_unpack_and_come_back() {
    let folder = Folder::new();
    let numbers = &mut Numbers(4);
    for round in 0..4 {
        // The last one is longer than the longest run of frames of zeros.
        let bytes = [0, 512, 9_000_000, 300 << 20][round];
        disk(&folder.raw, numbers, bytes.min(9_000_000));
        File::options()
            .write(true)
            .open(&folder.raw)
            .unwrap()
            .set_len(bytes)
            .unwrap();
        let source = open_path(&folder.raw, Format::Raw);
        for (compression, tool) in [
            (None, "cat"),
            (Some(Compression::Gzip), "gzip"),
            (Some(Compression::Zstd), "zstd"),
            (Some(Compression::Xz), "xz"),
        ] {
            let mut to = File::create(&folder.image).unwrap();
            let output = Output::Stream {
                to: &mut to,
                compression,
            };
            let made = converted(&*source, output);
            assert_eq!(made.sha256.unwrap().to_string(), sha256(&folder.image));
            assert_eq!(made.written, folder.image.metadata().unwrap().len());
            let Some(compression) = compression else {
                run(
                    "cmp",
                    &[folder.raw.to_str().unwrap(), folder.image.to_str().unwrap()],
                );
                continue;
            };
            // The tool reads it from its input, whatever the file's name.
            let unpacked = File::create(&folder.out).unwrap();
            let status = std::process::Command::new(tool)
                .arg("-dc")
                .stdin(File::open(&folder.image).unwrap())
                .stdout(unpacked)
                .status()
                .unwrap();
            assert!(status.success(), "{tool}");
            run(
                "cmp",
                &[folder.raw.to_str().unwrap(), folder.out.to_str().unwrap()],
            );

            let image = Arc::new(File::open(&folder.image).unwrap());
            let mut stream = Unpacked::open(image, compression).unwrap();
            let back = File::create(&folder.out).unwrap();
            let made = convert(
                Input::Stream(&mut stream),
                Output::Raw { to: &back, from: 0 },
                &Options::default(),
                &mut |_| ControlFlow::Continue(()),
            );
            assert_eq!(made.unwrap().disk, bytes);
            run(
                "cmp",
                &[folder.raw.to_str().unwrap(), folder.out.to_str().unwrap()],
            );
        }
    }
}

#[test]
fn streams_of_the_tools_become_qcow2() {
    let folder = Folder::new();
    let numbers = &mut Numbers(5);
    disk(&folder.raw, numbers, 5_000_192);
    for (tool, compression) in [
        ("gzip", Compression::Gzip),
        ("zstd", Compression::Zstd),
        ("xz", Compression::Xz),
    ] {
        let status = std::process::Command::new(tool)
            .arg("-c")
            .arg(&folder.raw)
            .stdout(File::create(&folder.image).unwrap())
            .status()
            .unwrap();
        assert!(status.success());
        let image = Arc::new(File::open(&folder.image).unwrap());
        let mut stream = Unpacked::open(image, compression).unwrap();
        let to = File::create(&folder.out).unwrap();
        convert(
            Input::Stream(&mut stream),
            Output::Qcow2 {
                to: &to,
                compression: Some(ClusterCompression::Zstd),
            },
            &Options::default(),
            &mut |_| ControlFlow::Continue(()),
        )
        .unwrap();
        qemu_img(&["check", "-q", folder.out.to_str().unwrap()]);
        same(&folder.raw, "raw", &folder.out, "qcow2");
    }
}

#[test]
fn overlays_are_read_over_what_the_caller_opened() {
    let folder = Folder::new();
    let numbers = &mut Numbers(6);
    for round in 0..12 {
        let size = size(numbers).max(1 << 20);
        disk(&folder.raw, numbers, size);
        let base = folder.raw.with_extension("base");
        let (driver, format) = if round % 2 == 0 {
            ("raw", Format::Raw)
        } else {
            ("qcow2", Format::Qcow2)
        };
        made_by_qemu(&folder.raw, &base, driver, "");
        // Some overlays are larger than what they lie over.
        let larger = (size + numbers.below(3) * (300 << 10)).to_string();
        let options = ["cluster_size=64k", "extended_l2=on", "cluster_size=4k"][round % 3];
        let mut layers = vec![open_path(&base, format)];
        let (mut below, mut below_driver) = (base.clone(), driver);
        for layer in 0..2 {
            let path = folder.raw.with_extension(format!("layer{layer}"));
            qemu_img(&[
                "create",
                "-q",
                "-f",
                "qcow2",
                "-o",
                options,
                "-F",
                below_driver,
                "-b",
                below.to_str().unwrap(),
                path.to_str().unwrap(),
                &larger,
            ]);
            for _ in 0..4 {
                let at = numbers.below(size / 1024 - 60) * 1024;
                let write = match numbers.below(3) {
                    0 => format!("write -z {at} 50k"),
                    _ => format!("write -P {} {at} 37k", numbers.below(255)),
                };
                judge::io(&path, &[&write]);
            }
            let bytes = Arc::new(File::open(&path).unwrap());
            let Some(beneath) = layers.pop() else {
                unreachable!()
            };
            layers.push(kinglet_disk::source::open_over(bytes, beneath).unwrap());
            (below, below_driver) = (path, "qcow2");
        }
        let Some(top) = layers.pop() else {
            unreachable!()
        };
        to_qcow2(&*top, &folder.out, None);
        same(&below, "qcow2", &folder.out, "qcow2");
        assert!(open(Arc::new(File::open(&below).unwrap()), Format::Qcow2).is_err());
    }
}

#[test]
fn a_raw_file_is_continued_from_any_durable_byte() {
    let folder = Folder::new();
    let numbers = &mut Numbers(7);
    for round in 0..20 {
        disk(&folder.raw, numbers, 6_000_128);
        let source = open_path(&folder.raw, Format::Raw);
        let options = Options {
            sync_every: Some(1 << 20),
            sums: round % 2 == 0,
            ..Options::default()
        };
        let stop = numbers.below(6_000_000);
        let to = File::create(&folder.out).unwrap();
        let mut durable = 0;
        let stopped = convert(
            Input::Disk(&*source),
            Output::Raw { to: &to, from: 0 },
            &options,
            &mut |progress| {
                durable = progress.durable;
                if progress.done > stop {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            },
        );
        assert!(stopped.is_err());
        // What was not durable may be anything after a crash.
        let length = to.metadata().unwrap().len();
        if length > durable {
            let noise = numbers.bytes((length - durable) as usize);
            std::os::unix::fs::FileExt::write_all_at(&to, &noise, durable).unwrap();
        }
        let from = numbers.below(durable + 1);
        let made = convert(
            Input::Disk(&*source),
            Output::Raw { to: &to, from },
            &options,
            &mut |_| ControlFlow::Continue(()),
        )
        .unwrap();
        run(
            "cmp",
            &[folder.raw.to_str().unwrap(), folder.out.to_str().unwrap()],
        );
        if let Some(digest) = made.sha256 {
            assert_eq!(digest.to_string(), sha256(&folder.out));
        }
    }
}
