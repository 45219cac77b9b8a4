//! Power cuts: after every change of the header, cut off anywhere, the container opens, with the old
//! key or with the new.

#![allow(clippy::unwrap_used, clippy::panic)]

mod support;

use kinglet_luks::hash::Hash;
use kinglet_luks::{Container, Cost, Error, FormatOptions, Secret};
use support::{Event, Memory, apply, limits, secret};

const QUICK: Cost = Cost::Pbkdf2 {
    hash: Hash::Sha256,
    iterations: 1000,
};
/// Room for two headers and four key slots.
const DATA_OFFSET: u64 = (32 << 10) + 4 * 258_048;

fn options() -> FormatOptions {
    FormatOptions {
        data_offset: DATA_OFFSET,
        ..FormatOptions::new(4096, QUICK)
    }
}

/// A container under "old" and "other".
fn container() -> (Container<Memory>, Secret) {
    let storage = Memory::of(vec![0; DATA_OFFSET as usize + 4096]);
    let (mut container, key) =
        Container::format(storage, &options(), &secret("old"), limits()).unwrap();
    container.add_key(&key, &secret("other"), QUICK).unwrap();
    (container, key)
}

/// Every state in which a power cut can leave the storage: all writes before a sync are there; of
/// those after it any one is missing, whole or torn.
fn states_after_power_cut(before: &[u8], log: &[Event]) -> Vec<Vec<u8>> {
    let mut states = Vec::new();
    let mut durable = before.to_vec();
    for (place, event) in log.iter().enumerate() {
        let Event::Write(offset, data) = event else {
            continue;
        };
        assert!(
            matches!(log.get(place + 1), Some(Event::Sync))
                || matches!(log.get(place + 1), Some(Event::Write(..)) if data.len() == 1 << 16),
            "a write of the header is not followed by a sync"
        );
        states.push(durable.clone());
        // Noise over an old key is the same wherever it is cut.
        let cuts = if data.len() == 1 << 16 {
            &[512][..]
        } else {
            &[512, 4096 + 512, data.len() - 1]
        };
        for &cut in cuts {
            let cut = cut.min(data.len());
            let mut torn = durable.clone();
            apply(&mut torn, *offset, &data[..cut]);
            states.push(torn);
            // The end may be there without the beginning.
            let mut torn = durable.clone();
            apply(&mut torn, offset + cut as u64, &data[cut..]);
            states.push(torn);
        }
        apply(&mut durable, *offset, data);
    }
    states.push(durable);
    states
}

/// Plays `change` with a power cut everywhere; `check` sees what opens then.
fn cut_everywhere(
    change: impl Fn(&mut Container<&Memory>, &Secret),
    check: impl Fn(&dyn Fn(&str) -> bool),
) {
    let (container, key) = container();
    let storage = container.into_storage();
    let before = storage.contents();
    storage.log.lock().unwrap().clear();
    change(&mut Container::open(&storage, limits()).unwrap(), &key);
    let log = storage.log.lock().unwrap().clone();
    let states = states_after_power_cut(&before, &log);
    assert!(states.len() > 10, "there was nothing to cut off");
    for state in states {
        let storage = Memory::of(state);
        let mut opened = Container::open(&storage, limits()).unwrap();
        let opens = |opened: &Container<&Memory>, text: &str| match opened.unlock(&secret(text)) {
            Ok(unlocked) => {
                assert_eq!(unlocked.key.expose(), key.expose());
                true
            }
            Err(Error::WrongPassphrase) => false,
            Err(error) => panic!("{error}"),
        };
        opened.repair().unwrap();
        check(&|text| opens(&opened, text));
        // And it goes on from there.
        opened.add_key(&key, &secret("after"), QUICK).unwrap();
        assert!(opens(&opened, "after"));
    }
}

#[test]
fn power_cut_while_adding_a_key_keeps_the_others() {
    cut_everywhere(
        |container, key| assert_eq!(container.add_key(key, &secret("new"), QUICK).unwrap(), 2),
        |opens| {
            assert!(opens("old") && opens("other"));
        },
    );
}

#[test]
fn power_cut_while_changing_a_key_leaves_the_old_or_the_new() {
    cut_everywhere(
        |container, key| container.change_key(0, key, &secret("new"), QUICK).unwrap(),
        |opens| {
            assert!(opens("old") != opens("new"), "both or neither open");
            assert!(opens("other"));
        },
    );
}

#[test]
fn power_cut_while_removing_a_key_keeps_the_others() {
    cut_everywhere(
        |container, _| container.remove_key(0).unwrap(),
        |opens| {
            assert!(opens("other"));
        },
    );
}

#[test]
fn power_cut_while_formatting_leaves_a_container_or_none() {
    let storage = Memory::of(vec![0; DATA_OFFSET as usize + 4096]);
    let before = storage.contents();
    let (container, key) =
        Container::format(&storage, &options(), &secret("key"), limits()).unwrap();
    drop(container);
    let log = storage.log.lock().unwrap().clone();
    let mut whole = 0;
    for state in states_after_power_cut(&before, &log) {
        match Container::open(Memory::of(state), limits()) {
            Ok(container) => {
                whole += 1;
                assert_eq!(
                    container.unlock(&secret("key")).unwrap().key.expose(),
                    key.expose()
                );
            }
            Err(Error::NotLuks | Error::BothCopiesBroken { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(whole > 0);
}

#[test]
fn header_changed_by_another_is_not_overwritten() {
    let (container, key) = container();
    let storage = container.into_storage();
    let mut one = Container::open(&storage, limits()).unwrap();
    let mut two = Container::open(&storage, limits()).unwrap();
    one.add_key(&key, &secret("one"), QUICK).unwrap();
    let before = storage.contents();
    for result in [
        two.add_key(&key, &secret("two"), QUICK).map(|_| ()),
        two.change_key(0, &key, &secret("two"), QUICK),
        two.remove_key(0),
    ] {
        assert!(matches!(result, Err(Error::ChangedMeanwhile)));
    }
    assert!(storage.contents() == before);
    one.unlock(&secret("one")).unwrap();
}

#[test]
fn only_whole_copy_is_never_the_one_written_first() {
    let (container, key) = container();
    let storage = container.into_storage();
    // The first copy is lost: the second is all there is.
    kinglet_luks::Storage::write_all_at(&storage, &[0; 16384], 0).unwrap();
    let before = storage.contents();
    storage.log.lock().unwrap().clear();
    let mut opened = Container::open(&storage, limits()).unwrap();
    opened.change_key(1, &key, &secret("new"), QUICK).unwrap();
    let log = storage.log.lock().unwrap().clone();
    for state in states_after_power_cut(&before, &log) {
        let container = Container::open(Memory::of(state), limits()).unwrap();
        container.unlock(&secret("old")).unwrap();
    }
}

#[test]
fn key_material_of_old_is_overwritten() {
    let (container, key) = container();
    let storage = container.into_storage();
    let before = storage.contents();
    let mut container = Container::open(&storage, limits()).unwrap();
    container
        .change_key(0, &key, &secret("new"), QUICK)
        .unwrap();
    container.remove_key(1).unwrap();
    let after = storage.contents();
    for area in [32 << 10, (32 << 10) + 258_048] {
        for sector in (area..area + 256_000).step_by(512) {
            let range = sector..sector + 512;
            assert!(
                before[range.clone()] != after[range],
                "byte {sector} is as it was"
            );
        }
    }
}

#[test]
fn keys_that_protect_nothing_are_refused() {
    let (mut container, key) = container();
    let none = container.add_key(&key, &secret(""), QUICK).unwrap_err();
    assert!(matches!(none, Error::EmptyPassphrase), "{none}");
    let few = Cost::Pbkdf2 {
        hash: Hash::Sha256,
        iterations: 999,
    };
    assert!(matches!(
        container.add_key(&key, &secret("x"), few),
        Err(Error::BadOption(_))
    ));
    let other = Secret::zeroed(64);
    assert!(matches!(
        container.add_key(&other, &secret("x"), QUICK),
        Err(Error::WrongKey)
    ));
    assert!(matches!(
        container.change_key(9, &key, &secret("x"), QUICK),
        Err(Error::NoSuchSlot(9))
    ));
}
