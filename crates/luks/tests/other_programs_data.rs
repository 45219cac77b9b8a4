//! Data beside other programs: what they encrypt we read, what we encrypt they read. cryptsetup
//! encrypts and decrypts plain files itself when it re-encrypts them; QEMU does so for LUKS1.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use kinglet_luks::{Container, Error, FormatOptions, Volume};
use support::{Bench, CHEAP, CHEAP_ARGON2, MIB, cryptsetup, limits, open_file, pattern, secret};

const DATA: u64 = 3 * MIB;
const OFFLINE: [&str; 4] = [
    "reencrypt",
    "--force-offline-reencrypt",
    "--resilience",
    "none",
];

#[test]
fn ours_decrypted_by_cryptsetup_is_the_plain_data() {
    for sector_size in [512, 4096] {
        let bench = Bench::new();
        let image = bench.image("image", 16 * MIB + DATA);
        let options = FormatOptions {
            sector_size,
            ..FormatOptions::new(DATA, CHEAP)
        };
        let (container, key) =
            Container::format(open_file(&image), &options, &secret("key"), limits()).unwrap();
        let volume = container.into_volume(&key).unwrap();
        assert_eq!(volume.length(), DATA);
        let plain = pattern(DATA as usize, 7);
        volume.write_all_at(&plain, 0).unwrap();
        volume.sync().unwrap();

        let (key_file, header) = (bench.key_file("key"), bench.path("header"));
        let decrypt = ["reencrypt", "--decrypt", "--force-offline-reencrypt"];
        let files = [
            "--key-file",
            &key_file,
            "--header",
            header.to_str().unwrap(),
        ];
        cryptsetup(&[&decrypt[..], &files, &[image.to_str().unwrap()]].concat());
        let decrypted = fs::read(&image).unwrap();
        assert!(
            decrypted[..plain.len()] == plain,
            "sectors of {sector_size} bytes differ"
        );
    }
}

#[test]
fn theirs_encrypted_by_cryptsetup_reads_as_the_plain_data() {
    for sector_size in ["512", "1024", "4096"] {
        let bench = Bench::new();
        let image = bench.path("image");
        let plain = pattern(DATA as usize, 8);
        fs::write(&image, &plain).unwrap();
        open_file(&image).set_len(DATA + 32 * MIB).unwrap();
        let key_file = bench.key_file("key");
        let how = [
            "--encrypt",
            "--type",
            "luks2",
            "--reduce-device-size",
            "32M",
        ];
        let rest = ["--sector-size", sector_size, "--key-file", &key_file];
        let path = [image.to_str().unwrap()];
        cryptsetup(&[&OFFLINE[..], &how, &CHEAP_ARGON2, &rest, &path].concat());
        assert!(
            read_from(&image, "key", plain.len()) == plain,
            "sectors of {sector_size} bytes"
        );
    }
}

#[test]
fn data_apart_from_its_header_is_read() {
    let bench = Bench::new();
    let (image, header) = (bench.path("image"), bench.image("header", 16 * MIB));
    let plain = pattern(DATA as usize, 12);
    fs::write(&image, &plain).unwrap();
    let (key_file, header_path) = (bench.key_file("key"), header.to_str().unwrap());
    let how = [
        "--encrypt",
        "--type",
        "luks2",
        "--header",
        header_path,
        "--key-file",
        &key_file,
    ];
    let path = [image.to_str().unwrap()];
    cryptsetup(&[&OFFLINE[..], &how, &CHEAP_ARGON2, &path].concat());

    let container = Container::open(open_file(&header), limits()).unwrap();
    let metadata = container.metadata().clone();
    assert!(metadata.is_detached());
    let key = container.unlock(&secret("key")).unwrap().key;
    let refused = container.into_volume(&key).unwrap_err();
    assert!(refused.to_string().contains("detached"), "{refused}");
    let volume = Volume::new(open_file(&image), &metadata.segment, &key).unwrap();
    let mut read = vec![0; plain.len()];
    volume.read_exact_at(&mut read, 0).unwrap();
    assert!(read == plain);
}

#[test]
fn ours_reencrypted_by_cryptsetup_reads_as_before() {
    let bench = Bench::new();
    let image = bench.image("image", 16 * MIB + DATA);
    let options = FormatOptions::new(DATA, CHEAP);
    let (container, key) =
        Container::format(open_file(&image), &options, &secret("key"), limits()).unwrap();
    let plain = pattern(DATA as usize, 9);
    container
        .into_volume(&key)
        .unwrap()
        .write_all_at(&plain, 0)
        .unwrap();
    let rest = [
        "--key-file",
        &bench.key_file("key"),
        image.to_str().unwrap(),
    ];
    cryptsetup(&[&OFFLINE[..], &CHEAP_ARGON2, &rest].concat());

    let container = Container::open(open_file(&image), limits()).unwrap();
    let renewed = container.unlock(&secret("key")).unwrap().key;
    assert!(!renewed.matches(key.expose()), "it has the same volume key");
    assert!(matches!(container.into_volume(&key), Err(Error::WrongKey)));
    assert!(read_from(&image, "key", plain.len()) == plain);
}

#[test]
fn reencryption_that_did_not_finish_is_refused() {
    let bench = Bench::new();
    let image = bench.image("image", 36 * MIB);
    let key_file = bench.key_file("key");
    let how = [
        "--encrypt",
        "--init-only",
        "--type",
        "luks2",
        "--reduce-device-size",
        "32M",
    ];
    let rest = ["--key-file", &key_file, image.to_str().unwrap()];
    let start = ["reencrypt", "--force-offline-reencrypt"];
    cryptsetup(&[&start[..], &how, &CHEAP_ARGON2, &rest].concat());
    let error = Container::open(open_file(&image), limits()).unwrap_err();
    assert!(error.to_string().contains("re-encrypted"), "{error}");
}

#[test]
fn qemu_luks1_is_read_and_written_alike() {
    for (cipher, mode, iv, hash) in [
        ("aes-256", "xts", "plain64", "sha256"),
        ("aes-128", "cbc", "essiv", "sha1"),
    ] {
        let bench = Bench::new();
        let plain = pattern(DATA as usize + 512, 10);
        let (raw, image) = (bench.path("raw"), bench.path("image"));
        fs::write(&raw, &plain).unwrap();
        let essiv = if iv == "essiv" {
            ",ivgen-hash-alg=sha256"
        } else {
            ""
        };
        let options = format!(
            "key-secret=s,iter-time=10,cipher-alg={cipher},cipher-mode={mode},ivgen-alg={iv},\
             hash-alg={hash}{essiv}"
        );
        let (raw, path) = (raw.to_str().unwrap(), image.to_str().unwrap());
        let object = ["convert", "--object", "secret,id=s,data=key"];
        let write = ["-f", "raw", "-O", "luks", "-o", &options, raw, path];
        qemu_img(&[&object[..], &write].concat());
        assert!(read_from(&image, "key", plain.len()) == plain, "{options}");

        let changed = pattern(100_000, 11);
        let container = Container::open(open_file(&image), limits()).unwrap();
        let key = container.unlock(&secret("key")).unwrap().key;
        container
            .into_volume(&key)
            .unwrap()
            .write_all_at(&changed, 12_345)
            .unwrap();
        let source = format!("driver=luks,key-secret=s,file.driver=file,file.filename={path}");
        let read = ["--image-opts", "-O", "raw", &source, raw];
        qemu_img(&[&object[..], &read].concat());
        let mut expected = plain;
        expected[12_345..112_345].copy_from_slice(&changed);
        assert!(fs::read(raw).unwrap() == expected, "{options}");
    }
}

#[test]
fn luks1_keys_are_not_changed() {
    let bench = Bench::new();
    let image = bench.image("image", 4 * MIB);
    let (path, key_file) = (image.to_str().unwrap(), bench.key_file("key"));
    let format = ["luksFormat", "--type", "luks1", "--key-file", &key_file];
    cryptsetup(&[&format[..], &support::CHEAP_PBKDF2, &[path]].concat());
    let before = fs::read(&image).unwrap();
    let mut container = Container::open(open_file(&image), limits()).unwrap();
    let key = container.unlock(&secret("key")).unwrap().key;
    for result in [
        container.add_key(&key, &secret("other"), CHEAP).map(|_| ()),
        container.change_key(0, &key, &secret("other"), CHEAP),
        container.remove_key(0),
    ] {
        assert!(matches!(result, Err(Error::ReadOnlyLuks1)));
    }
    assert!(!container.repair().unwrap());
    assert!(fs::read(&image).unwrap() == before);
}

/// QEMU measures how fast PBKDF2 is by the processor time it took, and gives up when the clock of a
/// busy machine did not move. That is tried again; every other failure is one.
fn qemu_img(arguments: &[&str]) {
    for _ in 0..20 {
        let output = Command::new("qemu-img").args(arguments).output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            return;
        }
        assert!(
            message.contains("Unable to get accurate CPU usage"),
            "{arguments:?}: {message}"
        );
    }
    panic!("qemu-img could not measure PBKDF2 in 20 attempts");
}

fn read_from(image: &Path, passphrase: &str, length: usize) -> Vec<u8> {
    let container = Container::open(open_file(image), limits()).unwrap();
    let key = container.unlock(&secret(passphrase)).unwrap().key;
    let volume = container.into_volume(&key).unwrap();
    let mut plain = vec![0; length];
    volume.read_exact_at(&mut plain, 0).unwrap();
    plain
}
