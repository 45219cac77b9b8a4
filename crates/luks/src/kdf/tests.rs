//! What deriving a key may cost, and the functions beside their published vectors.

use std::time::Duration;

use super::*;

const GIB: u64 = 1 << 30;

#[test]
fn cost_of_a_tebibyte_is_refused_with_figures() {
    let cost = Cost::Argon2id(Argon2Cost {
        memory: 1 << 30,
        passes: 4,
        lanes: 4,
    });
    let error = cost.check(3, &Limits::for_memory(8 * GIB)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "opening key slot 3 takes 1048576 MiB of memory, more than the 4096 MiB this host allows"
    );
}

#[test]
fn cost_beyond_each_limit_is_refused() {
    let limits = Limits {
        memory: GIB,
        work: 4 * GIB,
        lanes: 4,
        iterations: 1000,
    };
    let argon = |memory, passes, lanes| {
        Cost::Argon2id(Argon2Cost {
            memory,
            passes,
            lanes,
        })
    };
    let pbkdf2 = |iterations| Cost::Pbkdf2 {
        hash: Hash::Sha256,
        iterations,
    };
    for (cost, allowed) in [
        (argon(1 << 20, 4, 4), true),
        (argon((1 << 20) + 1, 1, 1), false),
        (argon(1 << 20, 5, 4), false),
        (argon(u32::MAX, u32::MAX, u32::MAX), false),
        (argon(1024, 1, 5), false),
        (pbkdf2(1000), true),
        (pbkdf2(1001), false),
    ] {
        assert_eq!(cost.check(0, &limits).is_ok(), allowed, "{cost:?}");
    }
}

#[test]
fn cost_measured_stays_within_its_memory() {
    let Cost::Argon2id(cost) = Cost::measured(Duration::from_millis(1), 64 << 20, 16) else {
        panic!("not Argon2id");
    };
    assert!(u64::from(cost.memory) << 10 <= 32 << 20, "{cost:?}");
    assert!(cost.passes >= 4);
    assert_eq!(cost.lanes, 4);
    assert!(Cost::Argon2id(cost).is_sound());
}

/// RFC 7914, section 11.
#[test]
fn pbkdf2_vector_matches() {
    let cost = Cost::Pbkdf2 {
        hash: Hash::Sha256,
        iterations: 80_000,
    };
    let key = cost
        .derive(&Secret::copy_of(b"Password"), b"NaCl", 64)
        .unwrap();
    assert_eq!(
        key.expose()[..8],
        [0x4d, 0xdc, 0xd8, 0xf6, 0x0b, 0x98, 0xbe, 0x21]
    );
}
