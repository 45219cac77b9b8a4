//! Discs, file systems, partition tables, compressed images and what Linux boots, made by the tools
//! that people make them with.
#![allow(clippy::unwrap_used, clippy::panic)]

mod judge;

use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};

use judge::{Cut, Numbers, agrees, damaged_wherever_cut, probed, probed_bytes, reason, run};
use kinglet_disk::Wholeness;
use kinglet_disk::scan::{ScanError, read_through};
use kinglet_model::image::{Compression, Format, PartitionTable};

fn tree(dir: &Path, numbers: &mut Numbers) -> String {
    let tree = dir.join("tree");
    std::fs::create_dir_all(&tree).unwrap();
    let size = 1 + numbers.below(300_000) as usize;
    std::fs::write(tree.join("file"), numbers.bytes(size)).unwrap();
    tree.to_str().unwrap().to_owned()
}

fn piped(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("this test needs {program}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn discs_and_file_systems_agree_and_are_damaged_wherever_cut() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = &mut Numbers(20);
    for _ in 0..12 {
        let tree = tree(dir.path(), numbers);
        let path = dir.path().join("image");
        let name = path.to_str().unwrap();
        let kinds: [(&str, Vec<&str>, Format); 6] = [
            (
                "genisoimage",
                vec!["-quiet", "-R", "-no-pad", "-o", name, &tree],
                Format::Iso,
            ),
            (
                "genisoimage",
                vec!["-quiet", "-udf", "-J", "-o", name, &tree],
                Format::Iso,
            ),
            (
                "xorriso",
                vec!["-as", "mkisofs", "-quiet", "-R", "-o", name, &tree],
                Format::Iso,
            ),
            (
                "mksquashfs",
                vec![&tree, name, "-quiet", "-noappend", "-no-progress", "-nopad"],
                Format::Squashfs,
            ),
            ("mkfs.erofs", vec!["--quiet", name, &tree], Format::Erofs),
            (
                "mkfs.erofs",
                vec!["--quiet", "-zlz4", name, &tree],
                Format::Erofs,
            ),
        ];
        for (program, arguments, format) in kinds {
            run(program, &arguments);
            agrees(&path, format, "raw");
            // Before its magic number nothing tells it from an empty raw disk.
            let unrecognisable = |left: &Path| left.metadata().unwrap().len() <= 32769 + 5;
            damaged_wherever_cut(&path, numbers, &unrecognisable);
            std::fs::remove_file(&path).unwrap();
        }
    }
}

#[test]
fn partition_tables_are_found_and_a_disk_cut_short_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = &mut Numbers(21);
    let path = dir.path().join("disk");
    for (label, table) in [("gpt", PartitionTable::Gpt), ("dos", PartitionTable::Mbr)] {
        for _ in 0..20 {
            let size = ((4 << 20) + numbers.below(60 << 20)) / 512 * 512;
            std::fs::write(&path, []).unwrap();
            std::fs::File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_len(size)
                .unwrap();
            let table_text = format!("label: {label}\nsize=1M\ntype=L\n");
            piped(
                "sfdisk",
                &["-q", path.to_str().unwrap()],
                table_text.as_bytes(),
            );
            agrees(&path, Format::Raw, "raw");
            assert_eq!(probed(&path).partitions, Some(table));
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            file.set_len(size + (1 << 20)).unwrap();
            assert!(probed(&path).wholeness.is_whole(), "grown");
            file.set_len(size - (1 << 20)).unwrap();
            assert!(reason(&probed(&path)).contains("cut short"));
        }
    }
}

#[test]
fn what_is_no_image_is_said_to_be_none() {
    for (bytes, expected) in [
        (Vec::new(), "empty"),
        (b"hello\n".to_vec(), "whole number"),
        ([&b"PK\x03\x04"[..], &[0; 508]].concat(), "zip"),
        ([&[0; 257][..], b"ustar", &[0; 250]].concat(), "tar"),
    ] {
        let found = probed_bytes(&bytes);
        assert_eq!(found.format, Format::Raw);
        assert!(reason(&found).contains(expected), "{found:?}");
    }
}

#[test]
fn compressed_images_are_seen_through_and_followed_to_their_end() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = &mut Numbers(22);
    let raw = numbers.bytes(5 << 20);
    for (program, kind) in [
        ("gzip", Compression::Gzip),
        ("xz", Compression::Xz),
        ("zstd", Compression::Zstd),
    ] {
        let packed = piped(program, &["-1", "-c"], &raw);
        let twice = [packed.clone(), packed.clone()].concat();
        for (bytes, size) in [(&packed, raw.len()), (&twice, 2 * raw.len())] {
            let scanned = scan(dir.path(), bytes);
            assert_eq!(scanned, (Wholeness::Whole, Some(size as u64)), "{program}");
            let found = probed_bytes(bytes);
            assert_eq!((found.format, found.compression), (Format::Raw, Some(kind)));
        }
        let mut cuts: Vec<usize> = (0..8)
            .map(|_| 20 + numbers.below(packed.len() as u64 - 20) as usize)
            .collect();
        cuts.extend([packed.len() - 1, packed.len() - 4]);
        for cut in cuts {
            assert!(
                !scan(dir.path(), &packed[..cut]).0.is_whole(),
                "{program} cut at {cut}"
            );
        }
        let garbage = [packed.clone(), b"garbage!".to_vec()].concat();
        assert!(!scan(dir.path(), &garbage).0.is_whole(), "{program}");
    }
    let wide = piped("zstd", &["-c", "--long=30", "-1"], &raw);
    let verdict = scan(dir.path(), &wide).0;
    assert!(
        matches!(&verdict, Wholeness::Damaged { reason, .. } if reason.contains("memory")),
        "{verdict:?}"
    );
}

fn scan(dir: &Path, bytes: &[u8]) -> (Wholeness, Option<u64>) {
    let path = dir.join("scanned");
    std::fs::write(&path, bytes).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    let scanned =
        read_through(&file, &probed(&path), &mut |_, _| ControlFlow::Continue(())).unwrap();
    let sum = run("sha256sum", &[path.to_str().unwrap()]);
    assert!(sum.starts_with(&scanned.sha256.to_string()));
    (scanned.wholeness, scanned.unpacked.map(|size| size.bytes()))
}

#[test]
fn sparse_file_is_hashed_with_its_holes_and_can_be_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sparse");
    std::fs::write(&path, Numbers(3).bytes(70_000)).unwrap();
    std::fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len((40 << 20) + 512)
        .unwrap();
    let file = std::fs::File::open(&path).unwrap();
    let found = probed(&path);
    let mut seen = 0;
    let scanned = read_through(&file, &found, &mut |done, total| {
        assert!(done >= seen && total == (40 << 20) + 512);
        seen = done;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(seen, (40 << 20) + 512);
    assert!(run("sha256sum", &[path.to_str().unwrap()]).starts_with(&scanned.sha256.to_string()));
    let stopped = read_through(&file, &found, &mut |_, _| ControlFlow::Break(()));
    assert!(matches!(stopped, Err(ScanError::Cancelled)));
}

#[test]
fn initramfs_is_one_however_it_is_compressed() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = &mut Numbers(23);
    let tree = tree(dir.path(), numbers);
    let list = format!("{tree}\n{tree}/file\n");
    let plain = piped("cpio", &["-o", "-H", "newc", "--quiet"], list.as_bytes());
    let mut kinds = vec![plain.clone()];
    for (program, arguments) in [
        ("gzip", vec!["-c"]),
        ("xz", vec!["-c", "--check=crc32"]),
        ("zstd", vec!["-c", "-q"]),
        ("lz4", vec!["-l", "-c"]),
    ] {
        let packed = piped(program, &arguments, &plain);
        kinds.push([plain.clone(), packed.clone()].concat());
        kinds.push(packed);
    }
    for bytes in kinds {
        let found = probed_bytes(&bytes);
        assert_eq!((found.format, found.compression), (Format::Initramfs, None));
        assert_eq!(scan(dir.path(), &bytes).0, Wholeness::Whole);
        let cut = bytes.len() - 1000;
        assert!(!scan(dir.path(), &bytes[..cut]).0.is_whole());
    }
}

#[test]
fn kernel_of_this_machine_is_one_and_is_damaged_when_cut() {
    let path = std::fs::read_dir("/boot")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().contains("vmlinuz"))
        .unwrap_or_else(|| panic!("this test needs a kernel in /boot"));
    let bytes = std::fs::read(path).unwrap();
    let found = probed_bytes(&bytes);
    assert_eq!(
        (found.format, &found.wholeness),
        (Format::Kernel, &Wholeness::Whole)
    );
    let length = bytes.len() as u64;
    for cut in [1024, length / 2, length - 1] {
        assert!(
            !probed_bytes(&Cut {
                bytes: &bytes,
                length: cut
            })
            .wholeness
            .is_whole()
        );
    }
}
