//! Whatever the bytes: no panic, no endless loop, an answer. Whole images of every format are mutated,
//! and the small corpus of made-up headers with them.
#![allow(clippy::unwrap_used, clippy::panic)]

mod judge;

use std::ops::ControlFlow;
use std::path::Path;

use judge::{Cut, Numbers, probed_bytes, qemu_img, run};
use kinglet_disk::scan::read_through;
use proptest::prelude::*;

/// One small image of each format that a tool makes.
fn images(dir: &Path) -> Vec<Vec<u8>> {
    let raw = dir.join("raw");
    let mut bytes = Numbers(1).bytes(200 << 10);
    bytes[64 << 10..128 << 10].fill(0);
    std::fs::write(&raw, &bytes).unwrap();
    let raw_name = raw.to_str().unwrap();
    let mut files = Vec::new();
    for (format, options) in [
        ("qcow2", "cluster_size=512"),
        ("qcow2", "extended_l2=on"),
        ("qcow2", "compat=0.10"),
        ("vmdk", "subformat=monolithicSparse"),
        ("vmdk", "subformat=streamOptimized"),
        ("vpc", "subformat=dynamic"),
        ("vpc", "subformat=fixed"),
        ("vhdx", "subformat=dynamic,block_size=1M"),
    ] {
        let path = dir.join("image");
        let name = path.to_str().unwrap();
        qemu_img(&[
            "convert", "-f", "raw", "-O", format, "-o", options, raw_name, name,
        ]);
        files.push(std::fs::read(&path).unwrap());
        std::fs::remove_file(path).unwrap();
    }
    let tree = dir.join("tree");
    std::fs::create_dir(&tree).unwrap();
    std::fs::write(tree.join("file"), &bytes).unwrap();
    let tree = tree.to_str().unwrap();
    let out = dir.join("out");
    let name = out.to_str().unwrap();
    for (program, arguments) in [
        (
            "mksquashfs",
            vec![tree, name, "-quiet", "-noappend", "-no-progress"],
        ),
        ("mkfs.erofs", vec!["--quiet", name, tree]),
        (
            "genisoimage",
            vec!["-quiet", "-udf", "-R", "-J", "-o", name, tree],
        ),
        ("xz", vec!["-k", raw_name]),
        ("gzip", vec!["-k", raw_name]),
        ("zstd", vec!["-q", raw_name]),
    ] {
        run(program, &arguments);
        let suffix = match program {
            "xz" => "raw.xz",
            "gzip" => "raw.gz",
            "zstd" => "raw.zst",
            _ => "out",
        };
        files.push(std::fs::read(dir.join(suffix)).unwrap());
    }
    files
}

#[test]
fn mutated_images_get_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = &mut Numbers(99);
    for original in images(dir.path()) {
        let mut bytes = original.clone();
        assert!(probed_bytes(&original).wholeness.is_whole());
        for _ in 0..150 {
            for _ in 0..=numbers.below(6) {
                // Most structures stand at the beginning or the end.
                let reach = *numbers.pick(&[128, 1024, 4096, bytes.len() as u64]);
                let from_start = numbers.below(reach.min(bytes.len() as u64)) as usize;
                let at = if numbers.below(3) == 0 {
                    bytes.len() - 1 - from_start
                } else {
                    from_start
                };
                bytes[at] = *numbers.pick(&[0, 1, 0x7f, 0x80, 0xff, from_start as u8]);
            }
            let length = match numbers.below(3) {
                0 => numbers.below(bytes.len() as u64 + 1),
                _ => bytes.len() as u64,
            };
            let _ = probed_bytes(&Cut {
                bytes: &bytes,
                length,
            });
            if numbers.below(4) == 0 {
                bytes.clone_from(&original);
            }
        }
    }
}

#[test]
fn mutated_corpus_gets_an_answer() {
    let numbers = &mut Numbers(5);
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files = 0;
    for entry in std::fs::read_dir(corpus).unwrap() {
        files += 1;
        let original = std::fs::read(entry.unwrap().path()).unwrap();
        let _ = probed_bytes(&original);
        for _ in 0..200 {
            let mut bytes = original.clone();
            for _ in 0..=numbers.below(4) {
                let at = numbers.below(bytes.len() as u64) as usize;
                bytes[at] = numbers.below(256) as u8;
            }
            let length = bytes.len() as u64 - numbers.below(2) * numbers.below(bytes.len() as u64);
            let _ = probed_bytes(&Cut {
                bytes: &bytes,
                length,
            });
        }
    }
    assert!(files > 10);
}

#[test]
fn mutated_compressed_images_are_read_through() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = &mut Numbers(7);
    for original in images(dir.path()).split_off(11) {
        for _ in 0..60 {
            let mut bytes = original.clone();
            let at = numbers.below(bytes.len() as u64) as usize;
            bytes[at] ^= 1 << numbers.below(8);
            let path = dir.path().join("mutated");
            std::fs::write(&path, &bytes).unwrap();
            let found = probed_bytes(&bytes);
            let file = std::fs::File::open(&path).unwrap();
            read_through(&file, &found, &mut |_, _| ControlFlow::Continue(())).unwrap();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_after_any_magic_get_an_answer(
        magic in 0..11usize,
        mut bytes in proptest::collection::vec(any::<u8>(), 0..4096),
    ) {
        let magics: [&[u8]; 11] = [
            b"QFI\xfb\0\0\0\x03", b"QFI\xfb\0\0\0\x02", b"KDMV\x01\0\0\0", b"# Disk DescriptorFile\nRW 1 FLAT \"x",
            b"vhdxfile", b"conectix", b"hsqs", b"070701", b"\x02\x21\x4c\x18", b"\x1f\x8b\x08", b"\xfd7zXZ\0",
        ];
        let magic = magics[magic];
        let count = magic.len().min(bytes.len());
        bytes[..count].copy_from_slice(&magic[..count]);
        let _ = probed_bytes(&bytes);
    }
}
