//! Headers and keys beside cryptsetup: what it makes we open, what we make it opens, with the same
//! volume key.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use kinglet_luks::container::{CopyState, RestoreOver};
use kinglet_luks::hash::Hash;
use kinglet_luks::{Container, Cost, Error, FormatOptions, Version};
use support::{
    Bench, CHEAP, CHEAP_ARGON2, CHEAP_PBKDF2, MIB, cryptsetup, limits, open_file, pattern, secret,
};

const PBKDF2: Cost = Cost::Pbkdf2 {
    hash: Hash::Sha256,
    iterations: 1000,
};

#[track_caller]
fn theirs_opens(options: &[&[&str]]) -> kinglet_luks::Metadata {
    let bench = Bench::new();
    let image = bench.image("image", 20 * MIB);
    let (path, key_file) = (image.to_str().unwrap(), bench.key_file("theirs"));
    let head: &[&str] = &["luksFormat", "--key-file", &key_file];
    cryptsetup(&[head, &options.concat(), &[path]].concat());

    let container = Container::open(open_file(&image), limits()).unwrap();
    let unlocked = container.unlock(&secret("theirs")).unwrap();
    assert_eq!(unlocked.slot, 0);
    assert_eq!(
        unlocked.key.expose(),
        bench.their_volume_key(&image, "theirs")
    );
    let wrong = container.unlock(&secret("their")).unwrap_err();
    assert!(matches!(wrong, Error::WrongPassphrase), "{wrong}");
    container.metadata().clone()
}

#[test]
fn theirs_argon2id_opens() {
    let metadata = theirs_opens(&[&CHEAP_ARGON2, &["--label", "a label", "--subsystem", "sub"]]);
    assert_eq!(metadata.version, Version::Luks2);
    assert_eq!(
        (metadata.label.as_str(), metadata.subsystem.as_str()),
        ("a label", "sub")
    );
    assert_eq!(metadata.segment.offset, 16 * MIB);
}

#[test]
fn theirs_argon2i_opens() {
    theirs_opens(&[&["--pbkdf", "argon2i"], &CHEAP_ARGON2]);
}

#[test]
fn theirs_pbkdf2_opens_with_each_hash() {
    for hash in ["sha1", "sha256", "sha384", "sha512"] {
        theirs_opens(&[&CHEAP_PBKDF2, &["--hash", hash]]);
    }
}

#[test]
fn theirs_of_each_sector_size_opens() {
    for size in ["512", "1024", "2048", "4096"] {
        let metadata = theirs_opens(&[&CHEAP_PBKDF2, &["--sector-size", size]]);
        assert_eq!(metadata.segment.sector_size.to_string(), size);
    }
}

#[test]
fn theirs_of_each_cipher_opens() {
    for (cipher, bits) in [
        ("aes-xts-plain64", "256"),
        ("aes-xts-plain", "512"),
        ("aes-cbc-essiv:sha256", "256"),
        ("aes-cbc-essiv:sha256", "192"),
        ("aes-cbc-plain64", "128"),
    ] {
        let options = [
            "--cipher",
            cipher,
            "--key-size",
            bits,
            "--sector-size",
            "512",
        ];
        theirs_opens(&[&CHEAP_PBKDF2, &options]);
    }
}

#[test]
fn theirs_with_other_areas_opens() {
    let sizes = [
        "--luks2-metadata-size",
        "64k",
        "--luks2-keyslots-size",
        "512k",
        "--offset",
        "8192",
    ];
    let metadata = theirs_opens(&[&CHEAP_PBKDF2, &sizes]);
    assert_eq!(metadata.header_length(), 2 * (64 << 10) + (512 << 10));
    assert_eq!(metadata.segment.offset, 8192 * 512);
}

#[test]
fn theirs_luks1_opens() {
    for options in [
        &["--hash", "sha256"][..],
        &["--hash", "sha1"],
        &["--hash", "sha512", "--key-size", "512"],
        &["--cipher", "aes-cbc-essiv:sha256", "--key-size", "256"],
        &["--cipher", "aes-cbc-plain", "--key-size", "128"],
    ] {
        let metadata = theirs_opens(&[&["--type", "luks1"], &CHEAP_PBKDF2, options]);
        assert_eq!(metadata.version, Version::Luks1);
    }
}

#[test]
fn theirs_of_another_cipher_is_refused_by_name() {
    let bench = Bench::new();
    let image = bench.image("image", 20 * MIB);
    let (path, key_file) = (image.to_str().unwrap(), bench.key_file("theirs"));
    for kind in ["luks1", "luks2"] {
        let options = [
            "luksFormat",
            "--type",
            kind,
            "--cipher",
            "camellia-cbc-plain64",
        ];
        cryptsetup(
            &[
                &options[..],
                &CHEAP_PBKDF2,
                &["--key-size", "256", "--key-file", &key_file, path],
            ]
            .concat(),
        );
        let error = Container::open(open_file(&image), limits()).unwrap_err();
        assert!(
            error.to_string().contains("camellia-cbc-plain64"),
            "{error}"
        );
    }
}

#[test]
fn ours_opens_with_theirs() {
    for (sector_size, cost) in [(4096, CHEAP), (512, PBKDF2)] {
        let bench = Bench::new();
        let image = bench.image("image", 20 * MIB + u64::from(sector_size));
        let path = image.to_str().unwrap();
        let mut options = FormatOptions::new(u64::from(sector_size), cost);
        options.label = "päckchen".parse().unwrap();
        options.subsystem = "kinglet".parse().unwrap();
        assert_eq!(options.sector_size, sector_size);
        let (container, key) =
            Container::format(open_file(&image), &options, &secret("ours"), limits()).unwrap();
        assert_eq!(
            container.unlock(&secret("ours")).unwrap().key.expose(),
            key.expose()
        );

        cryptsetup(&["isLuks", "--type", "luks2", path]);
        assert_eq!(
            cryptsetup(&["luksUUID", path]).trim(),
            options.uuid.to_string()
        );
        assert_eq!(bench.their_volume_key(&image, "ours"), key.expose());
        let json = cryptsetup(&["luksDump", "--dump-json-metadata", path]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["segments"]["0"]["sector_size"], sector_size);
        assert_eq!(json["config"]["keyslots_size"], "16744448");
        let dump = cryptsetup(&["luksDump", path]);
        for line in ["päckchen", "kinglet", "aes-xts-plain64"] {
            assert!(dump.contains(line), "{line} in {dump}");
        }
        // Nothing for it to repair.
        cryptsetup(&["repair", path]);
    }
}

#[test]
fn ours_of_each_header_size_opens_with_theirs() {
    for header_size in [16 << 10, 128 << 10, 1 << 20, 4 << 20] {
        let bench = Bench::new();
        let image = bench.image("image", 18 * MIB);
        let options = FormatOptions {
            header_size,
            ..FormatOptions::new(2 * MIB, CHEAP)
        };
        let (_, key) =
            Container::format(open_file(&image), &options, &secret("ours"), limits()).unwrap();
        assert_eq!(bench.their_volume_key(&image, "ours"), key.expose());
    }
}

#[test]
fn keys_they_manage_on_ours_open_with_ours() {
    let bench = Bench::new();
    let image = bench.image("image", 20 * MIB);
    let path = image.to_str().unwrap();
    let [first, second, third] = ["first", "second", "third"].map(|text| bench.key_file(text));
    let options = FormatOptions::new(4 * MIB, CHEAP);
    let (_, key) =
        Container::format(open_file(&image), &options, &secret("first"), limits()).unwrap();

    cryptsetup(
        &[
            &["luksAddKey", "--key-file", &first],
            &CHEAP_ARGON2[..],
            &[path, &second],
        ]
        .concat(),
    );
    let container = Container::open(open_file(&image), limits()).unwrap();
    let unlocked = container.unlock(&secret("second")).unwrap();
    assert_eq!((unlocked.slot, unlocked.key.expose()), (1, key.expose()));

    let change = ["luksChangeKey", "--key-file", &second, "--key-slot", "1"];
    cryptsetup(&[&change, &CHEAP_PBKDF2[..], &[path, &third]].concat());
    let container = Container::open(open_file(&image), limits()).unwrap();
    assert!(matches!(
        container.unlock(&secret("second")),
        Err(Error::WrongPassphrase)
    ));
    assert_eq!(
        container.unlock(&secret("third")).unwrap().key.expose(),
        key.expose()
    );

    cryptsetup(&["luksKillSlot", "--key-file", &third, path, "0"]);
    let container = Container::open(open_file(&image), limits()).unwrap();
    assert!(matches!(
        container.unlock(&secret("first")),
        Err(Error::WrongPassphrase)
    ));
    assert!(matches!(
        container.unlock_slot(0, &secret("first")),
        Err(Error::NoSuchSlot(0))
    ));
    assert_eq!(container.unlock(&secret("third")).unwrap().slot, 1);
}

#[test]
fn keys_we_manage_on_theirs_open_with_theirs() {
    let bench = Bench::new();
    let image = bench.image("image", 20 * MIB);
    let (path, first) = (image.to_str().unwrap(), bench.key_file("first"));
    cryptsetup(
        &[
            &["luksFormat", "--key-file", &first],
            &CHEAP_ARGON2[..],
            &[path],
        ]
        .concat(),
    );
    let key = bench.their_volume_key(&image, "first");

    let mut container = Container::open(open_file(&image), limits()).unwrap();
    let unlocked = container.unlock(&secret("first")).unwrap();
    assert_eq!(
        container
            .add_key(&unlocked.key, &secret("second"), CHEAP)
            .unwrap(),
        1
    );
    assert_eq!(
        container
            .add_key(&unlocked.key, &secret("third"), PBKDF2)
            .unwrap(),
        2
    );
    assert_eq!(bench.their_volume_key(&image, "second"), key);
    assert_eq!(bench.their_volume_key(&image, "third"), key);

    container
        .change_key(1, &unlocked.key, &secret("changed"), CHEAP)
        .unwrap();
    assert!(!bench.they_open(&image, 1, "second"));
    assert!(bench.they_open(&image, 1, "changed"));

    container.remove_key(0).unwrap();
    container.remove_key(2).unwrap();
    assert!(!bench.they_open(&image, 0, "first"));
    assert!(!bench.they_open(&image, 2, "third"));
    let last = container.remove_key(1).unwrap_err();
    assert!(matches!(last, Error::LastSlot(1)), "{last}");
    assert_eq!(bench.their_volume_key(&image, "changed"), key);
    assert!(matches!(
        container.unlock(&secret("first")),
        Err(Error::WrongPassphrase)
    ));
}

#[test]
fn members_we_do_not_know_are_kept() {
    let bench = Bench::new();
    let image = bench.image("image", 20 * MIB);
    let (path, first) = (image.to_str().unwrap(), bench.key_file("first"));
    let label = ["--label", "kept", "--subsystem", "too"];
    let format = ["luksFormat", "--key-file", &first];
    cryptsetup(&[&format[..], &label, &CHEAP_ARGON2, &[path]].concat());
    let token = bench.path("token");
    fs::write(
        &token,
        r#"{"type":"somebody","keyslots":["0"],"secret":["of",1,null]}"#,
    )
    .unwrap();
    cryptsetup(&[
        "token",
        "import",
        "--json-file",
        token.to_str().unwrap(),
        path,
    ]);

    let mut container = Container::open(open_file(&image), limits()).unwrap();
    let key = container.unlock(&secret("first")).unwrap().key;
    container.add_key(&key, &secret("second"), CHEAP).unwrap();
    let exported = |slots: serde_json::Value| {
        let json = cryptsetup(&["token", "export", "--token-id", "0", path]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let secret = serde_json::json!(["of", 1, null]);
        assert_eq!((&json["secret"], &json["keyslots"]), (&secret, &slots));
    };
    exported(serde_json::json!(["0"]));
    container.remove_key(0).unwrap();
    exported(serde_json::json!([]));
    let dump = cryptsetup(&["luksDump", path]);
    assert!(dump.contains("kept") && dump.contains("too"), "{dump}");
}

#[test]
fn slot_priorities_are_heeded_and_kept() {
    let bench = Bench::new();
    let image = bench.image("image", 20 * MIB);
    let path = image.to_str().unwrap();
    let options = FormatOptions::new(4 * MIB, PBKDF2);
    let (mut container, key) =
        Container::format(open_file(&image), &options, &secret("key"), limits()).unwrap();
    container.add_key(&key, &secret("key"), PBKDF2).unwrap();
    container.add_key(&key, &secret("key"), PBKDF2).unwrap();
    cryptsetup(&["config", "--key-slot", "2", "--priority", "prefer", path]);
    cryptsetup(&["config", "--key-slot", "0", "--priority", "ignore", path]);

    let mut container = Container::open(open_file(&image), limits()).unwrap();
    assert_eq!(container.unlock(&secret("key")).unwrap().slot, 2);
    container
        .change_key(2, &key, &secret("changed"), CHEAP)
        .unwrap();
    container
        .change_key(0, &key, &secret("hidden"), CHEAP)
        .unwrap();
    assert_eq!(container.unlock(&secret("changed")).unwrap().slot, 2);
    assert!(matches!(
        container.unlock(&secret("hidden")),
        Err(Error::WrongPassphrase)
    ));
    assert_eq!(container.unlock_slot(0, &secret("hidden")).unwrap().slot, 0);
    let dump = cryptsetup(&["luksDump", path]);
    for priority in ["ignored", "normal", "preferred"] {
        assert_eq!(dump.matches(priority).count(), 1, "{priority} in {dump}");
    }
    // The slot that is only tried when named does not count as a way in.
    container.remove_key(1).unwrap();
    assert!(matches!(container.remove_key(2), Err(Error::LastSlot(2))));
}

#[test]
fn keys_fill_all_32_slots_and_no_more() {
    let bench = Bench::new();
    let image = bench.image("image", 20 * MIB);
    let options = FormatOptions::new(4 * MIB, PBKDF2);
    let (mut container, key) =
        Container::format(open_file(&image), &options, &secret("0"), limits()).unwrap();
    for slot in 1..32 {
        assert_eq!(
            container
                .add_key(&key, &secret(&slot.to_string()), PBKDF2)
                .unwrap(),
            slot
        );
    }
    let full = container.add_key(&key, &secret("32"), PBKDF2).unwrap_err();
    assert!(matches!(full, Error::NoRoom(_)), "{full}");
    assert!(bench.they_open(&image, 31, "31"));
    container.remove_key(7).unwrap();
    assert_eq!(
        container.add_key(&key, &secret("seven"), PBKDF2).unwrap(),
        7
    );
    assert!(bench.they_open(&image, 7, "seven"));
}

#[test]
fn key_file_of_any_bytes_opens_both_ways() {
    let bench = Bench::new();
    let image = bench.image("image", 20 * MIB);
    let bytes = [&pattern(5000, 9)[..], b"\0\n\n"].concat();
    let file = bench.path("binary");
    fs::write(&file, &bytes).unwrap();
    let (path, file) = (image.to_str().unwrap(), file.to_str().unwrap());
    cryptsetup(
        &[
            &["luksFormat", "--key-file", file],
            &CHEAP_ARGON2[..],
            &[path],
        ]
        .concat(),
    );
    let container = Container::open(open_file(&image), limits()).unwrap();
    let key = kinglet_luks::Secret::read_key_file(fs::File::open(file).unwrap()).unwrap();
    container.unlock(&key).unwrap();
}

#[test]
fn header_backup_is_theirs_byte_for_byte() {
    for kind in ["luks1", "luks2"] {
        let bench = Bench::new();
        let image = bench.image("image", 20 * MIB);
        let (path, key_file) = (image.to_str().unwrap(), bench.key_file("first"));
        let format = ["luksFormat", "--type", kind, "--key-file", &key_file];
        cryptsetup(&[&format, &CHEAP_PBKDF2[..], &[path]].concat());
        let theirs = bench.path("theirs");
        let place = ["--header-backup-file", theirs.to_str().unwrap()];
        cryptsetup(&[&["luksHeaderBackup", path], &place[..]].concat());

        let container = Container::open(open_file(&image), limits()).unwrap();
        let mut ours = Vec::new();
        assert_eq!(container.back_up(&mut ours).unwrap(), ours.len() as u64);
        assert!(
            ours == fs::read(theirs).unwrap(),
            "{kind}: the backups differ"
        );
    }
}

#[test]
fn header_backup_restores_both_ways() {
    let bench = Bench::new();
    let image = bench.image("image", 20 * MIB);
    let path = image.to_str().unwrap();
    let options = FormatOptions::new(4 * MIB, CHEAP);
    let (mut container, key) =
        Container::format(open_file(&image), &options, &secret("old"), limits()).unwrap();
    let mut backup = Vec::new();
    container.back_up(&mut backup).unwrap();
    container
        .change_key(0, &key, &secret("new"), CHEAP)
        .unwrap();
    assert!(bench.they_open(&image, 0, "new"));

    let file = bench.path("backup");
    fs::write(&file, &backup).unwrap();
    let place = ["--header-backup-file", file.to_str().unwrap()];
    cryptsetup(&[&["luksHeaderRestore", path], &place[..]].concat());
    let container = Container::open(open_file(&image), limits()).unwrap();
    assert_eq!(
        container.unlock(&secret("old")).unwrap().key.expose(),
        key.expose()
    );

    // Now both headers and all keys are lost, and ours puts them back.
    let storage = container.into_storage();
    kinglet_luks::Storage::write_all_at(&storage, &pattern(9 << 20, 1), 100).unwrap();
    let over = RestoreOver::SameContainer;
    let error = Container::open(&storage, limits()).unwrap_err();
    assert!(matches!(error, Error::BothCopiesBroken { .. }), "{error}");
    assert!(error.to_string().contains("backup"), "{error}");
    Container::restore(&storage, &backup[..], over, limits()).unwrap();
    assert_eq!(bench.their_volume_key(&image, "old"), key.expose());
}

#[test]
fn header_backup_of_another_container_is_refused() {
    let bench = Bench::new();
    let options = || FormatOptions::new(4 * MIB, PBKDF2);
    let (image, other) = (
        bench.image("image", 20 * MIB),
        bench.image("other", 20 * MIB),
    );
    let format = |path: &std::path::Path| {
        Container::format(open_file(path), &options(), &secret("key"), limits())
            .unwrap()
            .0
    };
    format(&image);
    let mut backup = Vec::new();
    format(&other).back_up(&mut backup).unwrap();
    let restore = |bytes: &[u8], over| Container::restore(open_file(&image), bytes, over, limits());

    let error = restore(&backup, RestoreOver::SameContainer).unwrap_err();
    assert!(
        error.to_string().contains("it is of the container"),
        "{error}"
    );
    let short = restore(&backup[..backup.len() - 1], RestoreOver::Anything).unwrap_err();
    assert!(matches!(short, Error::BadBackup(_)), "{short}");
    backup[5000] ^= 1;
    let broken = restore(&backup, RestoreOver::Anything).unwrap_err();
    assert!(broken.to_string().contains("copies is broken"), "{broken}");
    backup[5000] ^= 1;
    restore(&backup, RestoreOver::Anything).unwrap();
}

#[test]
fn broken_copy_is_named_and_repaired() {
    for (place, first) in [(100, true), (5000, true), (16384 + 5000, false)] {
        let bench = Bench::new();
        let image = bench.image("image", 20 * MIB);
        let options = FormatOptions::new(4 * MIB, CHEAP);
        let (container, key) =
            Container::format(open_file(&image), &options, &secret("key"), limits()).unwrap();
        let storage = container.into_storage();
        kinglet_luks::Storage::write_all_at(&storage, b"broken", place).unwrap();

        let mut container = Container::open(&storage, limits()).unwrap();
        let (primary, secondary) = container.copies().unwrap();
        let (bad, good) = if first {
            (primary, secondary)
        } else {
            (secondary, primary)
        };
        assert_eq!(*good, CopyState::Current);
        assert_eq!(*bad, CopyState::Broken("its checksum is wrong".to_owned()));
        assert_eq!(
            container.unlock(&secret("key")).unwrap().key.expose(),
            key.expose()
        );

        assert!(container.repair().unwrap());
        let mut container = Container::open(&storage, limits()).unwrap();
        assert_eq!(
            container.copies().unwrap(),
            (&CopyState::Current, &CopyState::Current)
        );
        assert!(!container.repair().unwrap());
        assert_eq!(bench.their_volume_key(&image, "key"), key.expose());
    }
}

#[test]
fn copy_they_repair_is_whole_for_us() {
    let bench = Bench::new();
    let image = bench.image("image", 20 * MIB);
    let options = FormatOptions::new(4 * MIB, CHEAP);
    let (container, _) =
        Container::format(open_file(&image), &options, &secret("key"), limits()).unwrap();
    kinglet_luks::Storage::write_all_at(&container.into_storage(), &[0; 4096], 0).unwrap();
    cryptsetup(&["repair", image.to_str().unwrap()]);
    let container = Container::open(open_file(&image), limits()).unwrap();
    assert_eq!(
        container.copies().unwrap(),
        (&CopyState::Current, &CopyState::Current)
    );
}
