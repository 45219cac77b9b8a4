//! The ciphers beside other people's: vectors of IEEE 1619 and NIST, and the `xts-mode` crate.

use aes::cipher::KeyInit;
use aes::{Aes128, Aes256};
use proptest::prelude::*;
use xts_mode::{Xts128, get_tweak_default};

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(pair).collect()
}

fn cipher(spec: &str, key: &[u8], sector_size: usize) -> SectorCipher {
    SectorCipher::new(spec.parse().unwrap(), &Secret::copy_of(key), sector_size).unwrap()
}

/// IEEE 1619-2007, B.1, vector 4: AES-128, data unit 0, 512 bytes 00..ff 00..ff.
#[test]
fn xts_ieee_vector_4_matches() {
    let key = bytes("27182818284590452353602874713526 31415926535897932384626433832795");
    let mut data: Vec<u8> = (0..512).map(|index| index as u8).collect();
    let plain = data.clone();
    let cipher = cipher("aes-xts-plain64", &key, 512);
    cipher.encrypt(0, &mut data);
    assert_eq!(
        data[..32],
        bytes("27a7479befa1d476489f308cd4cfa6e2a96e4bbe3208ff25287dd3819616e89c")
    );
    cipher.decrypt(0, &mut data);
    assert_eq!(data, plain);
}

/// IEEE 1619-2007, B.1, vector 10: AES-256, data unit 0xff.
#[test]
fn xts_ieee_vector_10_matches() {
    let key = bytes(
        "2718281828459045235360287471352662497757247093699959574966967627
         3141592653589793238462643383279502884197169399375105820974944592",
    );
    let mut data: Vec<u8> = (0..512).map(|index| index as u8).collect();
    cipher("aes-xts-plain64", &key, 512).encrypt(0xff, &mut data);
    assert_eq!(
        data[..32],
        bytes("1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b")
    );
}

/// NIST SP 800-38A, F.2.1 and F.2.5, with the vector that "plain" cannot make taken into the data.
#[test]
fn cbc_nist_blocks_match() {
    for (key, first, second) in [
        (
            "2b7e151628aed2a6abf7158809cf4f3c",
            "7649abac8119b246cee98e9b12e9197d",
            "5086cb9b507219ee95db113a917678b2",
        ),
        (
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "f58c4c04d6e5f1ba779eabfb5f7bfbd6",
            "9cfc4e967edb808d679f777bc6702c7d",
        ),
    ] {
        let mut data = vec![0_u8; 512];
        let plain = bytes("6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51");
        data[..32].copy_from_slice(&plain);
        for (byte, vector) in data.iter_mut().zip(0_u8..16) {
            *byte ^= vector;
        }
        cipher("aes-cbc-plain64", &bytes(key), 512).encrypt(0, &mut data);
        assert_eq!(data[..16], bytes(first));
        assert_eq!(data[16..32], bytes(second));
    }
}

#[test]
fn cipher_names_unknown_are_refused() {
    for name in [
        "serpent-xts-plain64",
        "aes-xts-essiv:sha256",
        "aes-cbc-essiv:sha512",
        "aes-ecb",
        "aes-xts-plain64be",
        "cipher_null-ecb",
        "",
    ] {
        assert!(name.parse::<CipherSpec>().is_err(), "{name}");
    }
    for name in [
        "aes-xts-plain64",
        "aes-xts-plain",
        "aes-cbc-essiv:sha256",
        "aes-cbc-plain",
    ] {
        assert_eq!(name.parse::<CipherSpec>().unwrap().to_string(), name);
    }
}

#[test]
fn cipher_keys_of_other_lengths_are_refused() {
    for length in [0, 16, 31, 33, 48, 63, 65, 512] {
        let key = Secret::zeroed(length);
        assert!(
            SectorCipher::new(CipherSpec::XTS, &key, 512).is_none(),
            "{length}"
        );
        assert!(!CipherSpec::XTS.takes_key_of(length));
    }
    assert!(SectorCipher::new(CipherSpec::XTS, &Secret::zeroed(64), 256).is_none());
}

#[test]
fn plain_vectors_wrap_at_32_bits() {
    let key = [3_u8; 64];
    let plain = cipher("aes-xts-plain", &key, 512);
    let mut low = vec![9_u8; 512];
    let mut high = low.clone();
    plain.encrypt(5, &mut low);
    plain.encrypt((1 << 32) + 5, &mut high);
    assert_eq!(low, high);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn xts_equals_the_oracle(
        key in prop::collection::vec(any::<u8>(), 64),
        small in any::<bool>(),
        size in prop::sample::select(vec![512_usize, 1024, 2048, 4096]),
        sectors in 1_usize..4,
        // Beyond 2^32 too.
        first in 0_u64..1 << 50,
        seed in any::<u8>(),
    ) {
        let key = if small { &key[..32] } else { &key[..] };
        let plain: Vec<u8> = (0..size * sectors).map(|index| (index as u8).wrapping_mul(seed)).collect();
        let ours = cipher("aes-xts-plain64", key, size);
        let mut data = plain.clone();
        ours.encrypt(first, &mut data);

        let mut expected = plain.clone();
        for (index, sector) in expected.chunks_mut(size).enumerate() {
            let number = first + (index * size / 512) as u64;
            oracle(key, number, sector);
        }
        prop_assert_eq!(&data, &expected);
        ours.decrypt(first, &mut data);
        prop_assert_eq!(data, plain);
    }

    #[test]
    fn cbc_decrypted_is_the_plain_text(
        key in prop::collection::vec(any::<u8>(), 32),
        length in prop::sample::select(vec![16_usize, 24, 32]),
        name in prop::sample::select(vec!["aes-cbc-essiv:sha256", "aes-cbc-plain64", "aes-cbc-plain"]),
        first in any::<u64>(),
    ) {
        let ours = cipher(name, &key[..length], 512);
        let plain: Vec<u8> = (0..1024).map(|index| index as u8).collect();
        let mut data = plain.clone();
        ours.encrypt(first, &mut data);
        prop_assert_ne!(&data[..512], &data[512..]);
        ours.decrypt(first, &mut data);
        prop_assert_eq!(data, plain);
    }
}

fn oracle(key: &[u8], sector: u64, data: &mut [u8]) {
    let (first, second) = key.split_at(key.len() / 2);
    let tweak = get_tweak_default(u128::from(sector));
    if key.len() == 32 {
        let cipher = |key| Aes128::new_from_slice(key).unwrap();
        Xts128::new(cipher(first), cipher(second)).encrypt_sector(data, tweak);
    } else {
        let cipher = |key| Aes256::new_from_slice(key).unwrap();
        Xts128::new(cipher(first), cipher(second)).encrypt_sector(data, tweak);
    }
}
