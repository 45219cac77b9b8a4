//! qcow2, VMDK, VHD and VHDX: some hundred images of each, made and judged by `qemu-img`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod judge;

use std::path::{Path, PathBuf};
use std::process::Command;

use judge::{
    Numbers, agrees, damaged_wherever_cut, io, never, probed, qemu_img, reason, same_disk,
};
use kinglet_model::image::Format;

/// Sizes from a sector to large, seldom round.
fn any_size(numbers: &mut Numbers, largest_bits: u64) -> u64 {
    let bits = 9 + numbers.below(largest_bits - 9);
    ((1 << bits) + numbers.below(1 << bits)) / 512 * 512
}

fn create(path: &Path, format: &str, options: &[String], size: u64) {
    let options = options.join(",");
    let size = size.to_string();
    let mut arguments = vec!["create", "-q", "-f", format];
    if !options.is_empty() {
        arguments.extend(["-o", &options]);
    }
    arguments.extend([path.to_str().unwrap(), &size]);
    qemu_img(&arguments);
}

/// A raw disk of random bytes with some holes, of an odd size.
fn source(dir: &Path, numbers: &mut Numbers, size: u64) -> PathBuf {
    let path = dir.join("source.raw");
    let mut bytes = numbers.bytes(size as usize);
    let hole = numbers.below(size) as usize;
    let end = (hole + 300_000).min(bytes.len() - 512);
    if hole < end {
        bytes[hole..end].fill(0);
    }
    std::fs::write(&path, bytes).unwrap();
    path
}

fn convert(from: &Path, to: &Path, format: &str, more: &[&str]) {
    let mut arguments = vec!["convert", "-f", "raw", "-O", format];
    arguments.extend(more);
    arguments.extend([from.to_str().unwrap(), to.to_str().unwrap()]);
    qemu_img(&arguments);
}

#[test]
fn qcow2_created_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = &mut Numbers(1);
    for _ in 0..300 {
        let path = dir.path().join("disk");
        let preallocation = *numbers.pick(&["off", "off", "metadata", "falloc", "full"]);
        let mut options = vec![format!("preallocation={preallocation}")];
        let cluster_bits = 9 + numbers.below(13);
        options.push(format!("cluster_size={}", 1 << cluster_bits));
        if numbers.below(4) == 0 {
            options.push("compat=0.10".into());
        } else {
            options.push("compat=1.1".into());
            options.push(format!("refcount_bits={}", 1 << numbers.below(7)));
            options.push(format!("lazy_refcounts={}", numbers.pick(&["on", "off"])));
            options.push(format!(
                "compression_type={}",
                numbers.pick(&["zlib", "zstd"])
            ));
            if cluster_bits >= 14 && preallocation != "metadata" {
                options.push(format!("extended_l2={}", numbers.pick(&["on", "off"])));
            }
        }
        let largest = if preallocation == "off" {
            18 + cluster_bits
        } else {
            21
        };
        let size = any_size(numbers, largest);
        create(&path, "qcow2", &options, size);
        agrees(&path, Format::Qcow2, "qcow2");
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn qcow2_with_data_agrees_and_is_damaged_wherever_cut() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = &mut Numbers(2);
    for round in 0..40 {
        let size = any_size(numbers, 22).max(8192);
        let from = source(dir.path(), numbers, size);
        let path = dir.path().join("disk");
        let cluster = format!("cluster_size={}", 1 << (9 + numbers.below(13)));
        let mut more = vec!["-o", &cluster];
        match round % 4 {
            1 => more.push("-c"),
            2 => more.extend(["-c", "-o", "compression_type=zstd"]),
            3 => more.extend(["-o", "compat=0.10"]),
            _ => {}
        }
        convert(&from, &path, "qcow2", &more);
        agrees(&path, Format::Qcow2, "qcow2");
        damaged_wherever_cut(&path, numbers, &|left| same_disk(left, "qcow2", &from));
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn qcow2_written_to_with_snapshots_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = &mut Numbers(3);
    for _ in 0..20 {
        let path = dir.path().join("disk");
        create(
            &path,
            "qcow2",
            &[format!("cluster_size={}", 1 << (9 + numbers.below(13)))],
            8 << 20,
        );
        for snapshot in 0..3 {
            let at = numbers.below(7 << 20);
            io(
                &path,
                &[
                    &format!("write -P 7 {at} {}", 1 + numbers.below(1 << 20)),
                    "discard 1M 1M",
                    "write -z 3M 64k",
                ],
            );
            qemu_img(&[
                "snapshot",
                "-c",
                &format!("snapshot {snapshot}"),
                path.to_str().unwrap(),
            ]);
        }
        agrees(&path, Format::Qcow2, "qcow2");
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn vmdk_created_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = &mut Numbers(4);
    for _ in 0..200 {
        let path = dir.path().join("disk.vmdk");
        let mut options = vec![format!(
            "subformat={}",
            numbers.pick(&["monolithicSparse", "streamOptimized"])
        )];
        options.push(format!("zeroed_grain={}", numbers.pick(&["on", "off"])));
        options.push(format!("compat6={}", numbers.pick(&["on", "off"])));
        options.push(format!(
            "adapter_type={}",
            numbers.pick(&["ide", "lsilogic"])
        ));
        let size = any_size(numbers, 36);
        create(&path, "vmdk", &options, size);
        agrees(&path, Format::Vmdk, "vmdk");
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn vmdk_with_data_agrees_and_is_damaged_wherever_cut() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = &mut Numbers(5);
    for _ in 0..20 {
        let size = any_size(numbers, 22).max(8192);
        let from = source(dir.path(), numbers, size);
        for subformat in ["monolithicSparse", "streamOptimized"] {
            let path = dir.path().join("disk.vmdk");
            convert(
                &from,
                &path,
                "vmdk",
                &["-o", &format!("subformat={subformat}")],
            );
            agrees(&path, Format::Vmdk, "vmdk");
            damaged_wherever_cut(&path, numbers, &|left| same_disk(left, "vmdk", &from));
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn vmdk_in_several_files_refers_to_them() {
    let numbers = &mut Numbers(6);
    for subformat in [
        "monolithicFlat",
        "twoGbMaxExtentSparse",
        "twoGbMaxExtentFlat",
    ] {
        for _ in 0..10 {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("disk.vmdk");
            let size = any_size(numbers, 34);
            create(&path, "vmdk", &[format!("subformat={subformat}")], size);
            let found = probed(&path);
            assert_eq!(found.format, Format::Vmdk);
            assert_eq!(found.virtual_size.unwrap().bytes(), size);
            let mut others: Vec<String> = std::fs::read_dir(dir.path())
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .filter(|name| name != "disk.vmdk")
                .collect();
            others.sort();
            assert_eq!(found.refers_to, others);
            assert!(reason(&found).contains(&others[0]), "{found:?}");
        }
    }
}

#[test]
fn vhd_created_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = &mut Numbers(7);
    for _ in 0..200 {
        let path = dir.path().join("disk.vhd");
        let subformat = *numbers.pick(&["dynamic", "fixed"]);
        let options = [
            format!("subformat={subformat}"),
            format!("force_size={}", numbers.pick(&["on", "off"])),
        ];
        let size = any_size(numbers, if subformat == "fixed" { 30 } else { 40 });
        create(&path, "vpc", &options, size);
        agrees(&path, Format::Vhd, "vpc");
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn vhd_with_data_agrees_and_is_damaged_wherever_cut() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = &mut Numbers(8);
    for _ in 0..20 {
        let size = any_size(numbers, 23).max(8192);
        let from = source(dir.path(), numbers, size);
        let path = dir.path().join("disk.vhd");
        convert(&from, &path, "vpc", &["-o", "force_size=on"]);
        agrees(&path, Format::Vhd, "vpc");
        damaged_wherever_cut(&path, numbers, &never);
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn vhdx_created_agrees() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = &mut Numbers(9);
    for _ in 0..200 {
        let path = dir.path().join("disk.vhdx");
        let subformat = *numbers.pick(&["dynamic", "fixed"]);
        let options = [
            format!("subformat={subformat}"),
            format!("block_size={}", (1 << 20) << numbers.below(6)),
            format!("log_size={}", (1 << 20) << numbers.below(3)),
        ];
        let size = any_size(numbers, if subformat == "fixed" { 28 } else { 42 });
        create(&path, "vhdx", &options, size);
        agrees(&path, Format::Vhdx, "vhdx");
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn vhdx_with_data_agrees_and_is_damaged_wherever_cut() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = &mut Numbers(10);
    for _ in 0..10 {
        let size = any_size(numbers, 23).max(8192);
        let from = source(dir.path(), numbers, size);
        for subformat in ["dynamic", "fixed"] {
            let path = dir.path().join("disk.vhdx");
            convert(
                &from,
                &path,
                "vhdx",
                &["-o", &format!("subformat={subformat},block_size=1M")],
            );
            agrees(&path, Format::Vhdx, "vhdx");
            damaged_wherever_cut(&path, numbers, &never);
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn what_an_image_names_is_said_and_never_opened() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    let name = path.to_str().unwrap();
    // `-u`: qemu-img does not look at the backing file either.
    qemu_img(&[
        "create",
        "-q",
        "-u",
        "-f",
        "qcow2",
        "-b",
        "/etc/passwd",
        "-F",
        "raw",
        name,
        "1M",
    ]);
    let found = probed(&path);
    assert_eq!(found.refers_to, ["/etc/passwd"]);
    assert_eq!(reason(&found), "refers to another file: /etc/passwd");

    qemu_img(&[
        "create",
        "-q",
        "-u",
        "-f",
        "qcow2",
        "-b",
        "nbd://evil\x1b[31m",
        "-F",
        "raw",
        name,
        "1M",
    ]);
    assert_eq!(probed(&path).refers_to, ["nbd://evil\\u{1b}[31m"]);

    let data = dir.path().join("data");
    let data_file = format!("data_file={}", data.to_str().unwrap());
    qemu_img(&["create", "-q", "-f", "qcow2", "-o", &data_file, name, "1M"]);
    assert_eq!(probed(&path).refers_to, [data.to_str().unwrap()]);

    let parent = dir.path().join("parent.vmdk");
    let parent_name = parent.to_str().unwrap();
    qemu_img(&["create", "-q", "-f", "vmdk", parent_name, "1M"]);
    qemu_img(&[
        "create",
        "-q",
        "-f",
        "vmdk",
        "-b",
        parent_name,
        "-F",
        "vmdk",
        name,
    ]);
    assert_eq!(probed(&path).refers_to, [parent_name]);
}

#[test]
fn qcow2_that_cannot_be_used_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("disk");
    let name = path.to_str().unwrap();
    create(&path, "qcow2", &[], 1 << 20);
    let bytes = std::fs::read(&path).unwrap();
    for (at, value, expected) in [
        (79, 1, "in use"),
        (79, 2, "corrupt"),
        (79, 0x80, "features"),
        (7, 4, "version 4"),
        (7, 1, "version 1"),
        (23, 40, "cluster size"),
    ] {
        let mut changed = bytes.clone();
        changed[at] = value;
        std::fs::write(&path, changed).unwrap();
        let found = probed(&path);
        assert_eq!(found.format, Format::Qcow2);
        assert!(reason(&found).contains(expected), "{found:?}");
    }
    std::fs::remove_file(&path).unwrap();
    // Now and then qemu-img gives up measuring its own key derivation on a busy machine.
    let encrypt = || {
        let options = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10";
        Command::new("qemu-img")
            .args(["create", "-q", "--object", "secret,id=s,data=x"])
            .args(["-f", "qcow2", "-o", options, name, "1M"])
            .output()
            .unwrap()
    };
    let output = (0..20)
        .map(|_| encrypt())
        .find(|output| output.status.success());
    assert!(output.is_some(), "{:?}", encrypt());
    assert!(reason(&probed(&path)).contains("encrypted"));
}

/// What VMware's tools write into an OVA: the place of the grain directory stands in a footer.
#[test]
fn vmdk_with_footer_agrees_and_is_damaged_wherever_cut() {
    let dir = tempfile::tempdir().unwrap();
    let numbers = &mut Numbers(11);
    let from = source(dir.path(), numbers, 1 << 20);
    let path = dir.path().join("disk.vmdk");
    convert(&from, &path, "vmdk", &["-o", "subformat=streamOptimized"]);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    let footer = bytes[..512].to_vec();
    bytes[56..64].fill(0xff);
    let mut marker = [0; 512];
    marker[0] = 1;
    marker[12] = 3;
    bytes.extend(marker);
    bytes.extend(footer);
    bytes.extend([0; 512]);
    std::fs::write(&path, bytes).unwrap();
    assert!(same_disk(&path, "vmdk", &from));
    agrees(&path, Format::Vmdk, "vmdk");
    damaged_wherever_cut(&path, numbers, &never);
}
