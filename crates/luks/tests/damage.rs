//! Headers by somebody who means harm: nothing panics, nothing is taken that was not granted, and
//! what is refused says why.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use std::fs;
use std::path::Path;

use kinglet_luks::{Container, Error, Limits};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{Memory, secret};

/// So little that no slot of a hostile header costs the test anything.
const TIGHT: Limits = Limits {
    memory: 1 << 20,
    work: 4 << 20,
    lanes: 4,
    iterations: 2000,
};
const COPY: usize = 16 << 10;
const LUKS2: &str = "luks2-two-keys-and-token.bin";

fn corpus(name: &str) -> Vec<u8> {
    fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/corpus")
            .join(name),
    )
    .unwrap()
}

fn all_of_corpus() -> Vec<Vec<u8>> {
    let folder = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")).unwrap();
    let files: Vec<_> = folder
        .map(|entry| fs::read(entry.unwrap().path()).unwrap())
        .collect();
    assert!(files.len() >= 4);
    files
}

/// Opens whatever it is and does all that can be done with it.
fn exercise(bytes: Vec<u8>) -> Result<(), Error> {
    let mut container = Container::open(Memory::of(bytes), TIGHT)?;
    let key = container
        .unlock(&secret("secret"))
        .map(|unlocked| unlocked.key);
    let _ = container.back_up(std::io::sink());
    let _ = container.repair();
    for slot in [0, 1, 31] {
        let _ = container.unlock_slot(slot, &secret("secret"));
        let _ = container.remove_key(slot);
    }
    container.into_volume(&key?).map(drop)
}

/// Both copies with other JSON and right checksums.
fn with_json(json: &str) -> Vec<u8> {
    let mut bytes = corpus(LUKS2);
    for copy in bytes.chunks_mut(COPY) {
        copy[4096..].fill(0);
        copy[4096..4096 + json.len()].copy_from_slice(json.as_bytes());
    }
    sealed(bytes)
}

/// With right checksums.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    for copy in bytes.chunks_mut(COPY) {
        copy[448..512].fill(0);
        let digest = Sha256::digest(&*copy);
        copy[448..480].copy_from_slice(&digest);
    }
    bytes
}

fn document() -> Value {
    let bytes = corpus(LUKS2);
    let end = bytes[4096..].iter().position(|&byte| byte == 0).unwrap();
    serde_json::from_slice(&bytes[4096..4096 + end]).unwrap()
}

#[track_caller]
fn refused(pointer: &str, value: Value, reason: &str) {
    let mut document = document();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap()[name] = value;
    let error = Container::open(Memory::of(with_json(&document.to_string())), TIGHT).unwrap_err();
    assert!(error.to_string().contains(reason), "{error}");
}

#[test]
fn corpus_opens_or_is_refused_with_its_reason() {
    for (name, reason) in [
        (LUKS2, None),
        ("luks1.bin", None),
        ("luks2-reencryption.bin", Some("re-encrypted")),
        ("luks1-qemu-essiv.bin", None),
    ] {
        let opened = Container::open(Memory::of(corpus(name)), TIGHT);
        match (opened, reason) {
            (Ok(_), None) => {}
            (Err(error), Some(reason)) => assert!(error.to_string().contains(reason), "{error}"),
            (result, _) => panic!("{name}: {result:?}"),
        }
    }
}

#[test]
fn requirement_unknown_is_refused_by_name() {
    let requirements = json!({ "mandatory": ["time-travel"] });
    refused(
        "/config/requirements",
        requirements,
        "requires \"time-travel\"",
    );
}

#[test]
fn segments_other_than_one_plain_are_refused() {
    refused(
        "/segments/0/integrity",
        json!({ "type": "hmac(sha256)" }),
        "integrity",
    );
    refused("/segments/0/type", json!("linear"), "\"linear\"");
    refused(
        "/segments/0/type",
        json!("hw-opal-crypt"),
        "\"hw-opal-crypt\"",
    );
    refused(
        "/segments/0/flags",
        json!(["in-reencryption"]),
        "\"in-reencryption\"",
    );
    refused("/segments/0/sector_size", json!(8192), "8192");
    refused(
        "/segments/0/offset",
        json!("4096"),
        "data cannot lie at byte 4096",
    );
    refused(
        "/segments/0/encryption",
        json!("cipher_null-ecb"),
        "cipher_null-ecb",
    );
}

#[test]
fn areas_outside_or_over_each_other_are_refused() {
    refused("/keyslots/1/area/offset", json!("32768"), "overlap");
    refused("/keyslots/1/area/offset", json!("0"), "outside the header");
    refused(
        "/keyslots/1/area/size",
        json!("18446744073709551615"),
        "outside the header",
    );
    refused(
        "/config/keyslots_size",
        json!("1099511627776"),
        "not possible",
    );
    refused(
        "/config/json_size",
        json!("4096"),
        "its JSON area has 12288 bytes",
    );
}

#[test]
fn numbers_that_are_not_text_of_digits_are_refused() {
    for value in [
        json!(32768),
        json!("-1"),
        json!("+1"),
        json!("0x8000"),
        json!(""),
        json!("99999999999999999999"),
    ] {
        refused("/keyslots/0/area/offset", value, "cannot be read");
    }
}

#[test]
fn argon2_of_a_tebibyte_is_refused_with_figures() {
    let mut document = document();
    document["keyslots"]["0"]["kdf"]["memory"] = json!(1 << 30);
    let mut bytes = with_json(&document.to_string());
    bytes.extend(support::pattern(1 << 20, 1));
    let limits = Limits::for_memory(8 << 30);
    let container = Container::open(Memory::of(bytes), limits).unwrap();
    let error = container.unlock(&secret("wrong")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "opening key slot 0 takes 1048576 MiB of memory, more than the 4096 MiB this host allows"
    );
}

#[test]
fn slot_written_over_is_told_with_its_remedy() {
    let mut bytes = corpus(LUKS2);
    bytes.extend(support::pattern(1 << 20, 1));
    let opened = |bytes: &[u8]| {
        let container = Container::open(Memory::of(bytes.to_vec()), TIGHT).unwrap();
        container.unlock(&secret("wrong")).unwrap_err()
    };
    assert!(matches!(opened(&bytes), Error::WrongPassphrase));
    bytes[40_960..41_472].fill(0xff);
    let error = opened(&bytes);
    assert!(matches!(error, Error::DamagedSlot(0)), "{error}");
    assert!(error.to_string().contains("header backup"), "{error}");
    let cut = opened(&bytes[..100_000]);
    assert!(matches!(cut, Error::DamagedSlot(0)), "{cut}");
}

#[test]
fn slot_of_another_kind_is_told_and_left_alone() {
    let mut document = document();
    document["keyslots"]["1"]["type"] = json!("quantum");
    let container = Container::open(Memory::of(with_json(&document.to_string())), TIGHT).unwrap();
    let error = container.unlock_slot(1, &secret("x")).unwrap_err();
    assert!(error.to_string().contains("\"quantum\""), "{error}");
    assert!(container.metadata().keyslots.contains_key(&0));
}

#[test]
fn json_deep_or_long_is_refused() {
    for json in [
        "[".repeat(12_000),
        "{\"a\":".repeat(2000),
        "{}".to_owned(),
        "[]".to_owned(),
        String::new(),
    ] {
        assert!(exercise(with_json(&json)).is_err());
    }
}

#[test]
fn files_that_are_no_containers_are_told_apart() {
    for bytes in [
        vec![],
        vec![0; 100],
        vec![0; 1 << 20],
        b"LUKS".to_vec(),
        b"LUKS\xba\xbe".to_vec(),
    ] {
        assert!(matches!(
            Container::open(Memory::of(bytes), TIGHT),
            Err(Error::NotLuks)
        ));
    }
}

/// What an attacker puts in the place of something.
fn hostile() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(null),
        json!(-1),
        json!(0),
        json!(1),
        json!(4_294_967_295_u32),
        json!(u64::MAX),
        json!(1e300),
        json!(true),
        json!(""),
        json!("0"),
        json!("1"),
        json!("4096"),
        json!("18446744073709551615"),
        json!("dynamic"),
        json!("argon2i"),
        json!("pbkdf2"),
        json!("sha512"),
        json!("aes-cbc-essiv:sha256"),
        json!("AAAA"),
        json!("x".repeat(5000)),
        json!([]),
        json!(["0", "1", "31", "99"]),
        json!({}),
        json!({ "0": {}, "x": {} }),
    ])
}

/// Replaces the `index`th value of the tree; returns how many were passed.
fn replace(value: &mut Value, index: usize, with: &Value) -> usize {
    if index == 0 {
        *value = with.clone();
        return 1;
    }
    let mut passed = 1;
    let children: Vec<&mut Value> = match value {
        Value::Object(members) => members.values_mut().collect(),
        Value::Array(items) => items.iter_mut().collect(),
        _ => Vec::new(),
    };
    for child in children {
        if passed > index {
            break;
        }
        passed += replace(child, index - passed, with);
    }
    passed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn bytes_changed_never_panic(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        near in any::<bool>(),
        seal in any::<bool>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = which.get(&all_of_corpus()).clone();
        for (place, value) in changes {
            // Most of a header is padding: half of the changes go where something is.
            let end = if near { 1024.min(bytes.len()) } else { bytes.len() };
            let place = place.index(end);
            bytes[place] = value;
        }
        if seal && bytes.len() == 2 * COPY {
            bytes = sealed(bytes);
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let _ = exercise(bytes);
    }

    #[test]
    fn metadata_changed_never_panics(
        changes in prop::collection::vec((0_usize..90, hostile()), 1..4),
    ) {
        let mut document = document();
        for (index, value) in &changes {
            replace(&mut document, *index, value);
        }
        let json = document.to_string();
        prop_assume!(json.len() < COPY - 4096);
        let mut bytes = with_json(&json);
        // With key slots, so that opening them is tried.
        bytes.extend(support::pattern(1 << 20, 2));
        let _ = exercise(bytes);
    }
}
