//! The seed disc, judged by `isoinfo`, `xorriso` and `blkid`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod judge;

use judge::run;
use kinglet_disk::seed::{SeedError, SeedFiles, write_iso};
use kinglet_disk::{Limits, probe};
use kinglet_model::image::Format;

/// What `isoinfo` reads of a file, by Rock Ridge (`-R`) or Joliet (`-J`).
fn file_in(disc: &std::path::Path, tree: &str, name: &str) -> Vec<u8> {
    let output = std::process::Command::new("isoinfo")
        .args([tree, "-x", &format!("/{name}"), "-i"])
        .arg(disc)
        .output()
        .unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn seed_is_read_under_its_exact_names() {
    let dir = tempfile::tempdir().unwrap();
    for (index, size) in [0, 1, 2047, 2048, 2049, 100_000].into_iter().enumerate() {
        let user_data: Vec<u8> = (0..size).map(|n: u32| n as u8).collect();
        for network_config in [None, Some(&b"version: 2\n"[..])] {
            let path = dir
                .path()
                .join(format!("seed-{index}-{}.iso", network_config.is_some()));
            let files = SeedFiles {
                meta_data: b"instance-id: i-1\n",
                user_data: &user_data,
                network_config,
            };
            write_iso(&path, &files).unwrap();
            let mut expected = vec![
                ("meta-data", &b"instance-id: i-1\n"[..]),
                ("user-data", &user_data),
            ];
            expected.extend(network_config.map(|bytes| ("network-config", bytes)));
            expected.sort_unstable();
            for (name, bytes) in &expected {
                assert!(file_in(&path, "-R", name) == *bytes, "{name}");
                assert!(file_in(&path, "-J", name) == *bytes, "{name}");
            }
            // Another reader, and all files at once.
            let out = tempfile::tempdir().unwrap();
            let (disc, folder) = (path.to_str().unwrap(), out.path().to_str().unwrap());
            run(
                "xorriso",
                &["-osirrox", "on", "-indev", disc, "-extract", "/", folder],
            );
            let mut found: Vec<(String, Vec<u8>)> = std::fs::read_dir(out.path())
                .unwrap()
                .map(|entry| entry.unwrap())
                .map(|entry| {
                    (
                        entry.file_name().into_string().unwrap(),
                        std::fs::read(entry.path()).unwrap(),
                    )
                })
                .collect();
            found.sort_unstable();
            let found: Vec<_> = found
                .iter()
                .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
                .collect();
            assert!(found == expected, "{found:?}");
            assert_eq!(
                run(
                    "blkid",
                    &["-p", "-o", "value", "-s", "LABEL", path.to_str().unwrap()]
                )
                .trim(),
                "cidata"
            );
            assert_eq!(
                run(
                    "blkid",
                    &["-p", "-o", "value", "-s", "TYPE", path.to_str().unwrap()]
                )
                .trim(),
                "iso9660"
            );
            let list = run("isoinfo", &["-R", "-f", "-i", path.to_str().unwrap()]);
            assert!(
                list.contains("/user-data") && list.contains("/meta-data"),
                "{list}"
            );
            let list = run("isoinfo", &["-J", "-f", "-i", path.to_str().unwrap()]);
            assert!(
                list.contains("/user-data") && list.contains("/meta-data"),
                "{list}"
            );
            let found = probe(&std::fs::File::open(&path).unwrap(), &Limits::default()).unwrap();
            assert_eq!(found.format, Format::Iso);
            assert!(found.wholeness.is_whole());
        }
    }
}

#[test]
fn seed_is_the_same_bytes_each_time_and_never_replaces() {
    let dir = tempfile::tempdir().unwrap();
    let files = SeedFiles {
        meta_data: b"a",
        user_data: b"b",
        network_config: None,
    };
    let (one, two) = (dir.path().join("one"), dir.path().join("two"));
    write_iso(&one, &files).unwrap();
    write_iso(&two, &files).unwrap();
    assert!(std::fs::read(&one).unwrap() == std::fs::read(&two).unwrap());
    assert!(matches!(
        write_iso(&one, &files),
        Err(SeedError::Write { .. })
    ));
    let large = vec![0; 17 << 20];
    let files = SeedFiles {
        user_data: &large,
        ..files
    };
    assert!(matches!(
        write_iso(&dir.path().join("three"), &files),
        Err(SeedError::TooLarge { .. })
    ));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2);
}
