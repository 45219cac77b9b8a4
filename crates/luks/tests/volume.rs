//! The volume beside a plain array of bytes, and beside the `xts-mode` crate on what lies on disk.

#![allow(clippy::unwrap_used)]

mod support;

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread;

use aes::Aes256;
use aes::cipher::KeyInit;
use kinglet_luks::{CipherSpec, Secret, Segment, Storage, Volume};
use proptest::prelude::*;
use support::{Memory, pattern};
use xts_mode::{Xts128, get_tweak_default};

const LENGTH: usize = 64 << 10;
const OFFSET: usize = 8192;

fn segment(sector_size: u32) -> Segment {
    Segment {
        offset: OFFSET as u64,
        size: None,
        iv_tweak: 1 << 40,
        cipher: CipherSpec::XTS,
        sector_size,
    }
}

fn volume(length: usize, sector_size: u32) -> Volume<Memory> {
    let storage = Memory::of(pattern(OFFSET + length, 1));
    Volume::new(storage, &segment(sector_size), &key()).unwrap()
}

fn key() -> Secret {
    Secret::copy_of(&pattern(64, 2))
}

fn read_all(volume: &Volume<Memory>) -> Vec<u8> {
    let mut bytes = vec![0; volume.length() as usize];
    volume.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// What the whole data decrypts to, by another implementation.
fn oracle(encrypted: &[u8], sector_size: usize) -> Vec<u8> {
    let key = key();
    let half = |half: &[u8]| Aes256::new_from_slice(half).unwrap();
    let xts = Xts128::new(half(&key.expose()[..32]), half(&key.expose()[32..]));
    let mut plain = encrypted.to_vec();
    for (index, sector) in plain.chunks_mut(sector_size).enumerate() {
        let number = (1_u128 << 40) + (index * sector_size / 512) as u128;
        xts.decrypt_sector(sector, get_tweak_default(number));
    }
    plain
}

#[derive(Debug, Clone)]
enum Step {
    Read(usize, usize),
    Write(usize, usize, u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let range = (0..LENGTH).prop_flat_map(|start| (Just(start), 0..=(LENGTH - start).min(20_000)));
    let step = (range, any::<u64>(), any::<bool>()).prop_map(|((start, length), seed, write)| {
        if write {
            Step::Write(start, length, seed)
        } else {
            Step::Read(start, length)
        }
    });
    prop::collection::vec(step, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn volume_behaves_like_plain_bytes(
        sector_size in prop::sample::select(vec![512_u32, 1024, 2048, 4096]),
        steps in steps(),
    ) {
        let volume = volume(LENGTH, sector_size);
        let before = volume.storage().contents()[..OFFSET].to_vec();
        let mut model = read_all(&volume);
        for step in steps {
            match step {
                Step::Read(start, length) => {
                    let mut bytes = vec![0; length];
                    volume.read_exact_at(&mut bytes, start as u64).unwrap();
                    prop_assert_eq!(&bytes, &model[start..start + length]);
                }
                Step::Write(start, length, seed) => {
                    let bytes = pattern(length, seed);
                    volume.write_all_at(&bytes, start as u64).unwrap();
                    model[start..start + length].copy_from_slice(&bytes);
                }
            }
        }
        let contents = volume.storage().contents();
        prop_assert_eq!(&contents[..OFFSET], &before[..]);
        prop_assert_eq!(oracle(&contents[OFFSET..], sector_size as usize), model);
    }
}

#[test]
fn volume_on_several_processors_writes_the_same_bytes() {
    // Not a multiple of what a thread takes, and more than is written at once.
    let length = (9 << 20) + 3 * 4096;
    let data = pattern(length, 3);
    let [one, many] = [1, 5].map(|threads| {
        let volume = volume(length, 4096).with_threads(NonZeroUsize::new(threads).unwrap());
        volume.write_all_at(&data, 0).unwrap();
        assert!(read_all(&volume) == data);
        volume.into_storage().contents()
    });
    assert!(one == many);
    assert!(oracle(&one[OFFSET..OFFSET + (1 << 20)], 4096) == data[..1 << 20]);
}

#[test]
fn volume_written_in_place_reads_the_same() {
    let volume = volume(LENGTH, 4096);
    let data = pattern(8192, 4);
    let mut buffer = data.clone();
    volume.write_sectors_in_place(&mut buffer, 4096).unwrap();
    assert!(read_all(&volume)[4096..12_288] == data);
    assert!(volume.storage().contents()[OFFSET + 4096..OFFSET + 12_288] == buffer);
    for (offset, length, kind) in [
        (512, 4096, io::ErrorKind::InvalidInput),
        (4096, 4095, io::ErrorKind::InvalidInput),
        (LENGTH as u64, 4096, io::ErrorKind::WriteZero),
    ] {
        let mut buffer = pattern(length, 5);
        let error = volume
            .write_sectors_in_place(&mut buffer, offset)
            .unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(buffer == pattern(length, 5));
    }
}

#[test]
fn volume_within_a_volume_is_one_too() {
    let outer = volume(LENGTH, 4096);
    let inner = Volume::new(&outer, &segment(512), &key()).unwrap();
    assert_eq!(inner.length(), (LENGTH - OFFSET) as u64);
    inner.write_all_at(b"nested", 700).unwrap();
    let mut read = [0; 6];
    inner.read_exact_at(&mut read, 700).unwrap();
    assert_eq!(&read, b"nested");
}

#[test]
fn volume_beyond_its_end_is_refused_and_nothing_written() {
    let volume = volume(LENGTH, 4096);
    let before = volume.storage().contents();
    let end = LENGTH as u64;
    for (offset, length) in [
        (end, 1),
        (end - 1, 2),
        (u64::MAX, 2),
        (u64::MAX - 1, 1),
        (0, LENGTH + 1),
    ] {
        let mut bytes = vec![0; length];
        let read = volume.read_exact_at(&mut bytes, offset).unwrap_err();
        assert_eq!(read.kind(), io::ErrorKind::UnexpectedEof);
        let write = volume.write_all_at(&bytes, offset).unwrap_err();
        assert_eq!(write.kind(), io::ErrorKind::WriteZero);
    }
    volume.read_exact_at(&mut [], end).unwrap();
    assert!(volume.storage().contents() == before);
}

#[test]
fn volume_ends_with_its_last_whole_sector() {
    assert_eq!(volume(LENGTH + 4095, 4096).length(), LENGTH as u64);
    assert_eq!(volume(LENGTH + 4095, 512).length(), LENGTH as u64 + 7 * 512);
    let short = Memory::of(vec![0; OFFSET - 1]);
    assert!(Volume::new(short, &segment(512), &key()).is_err());
    let sized = Segment {
        size: Some(LENGTH as u64 + 4096),
        ..segment(4096)
    };
    assert!(Volume::new(Memory::of(vec![0; OFFSET + LENGTH]), &sized, &key()).is_err());
}

/// Storage that lets others go first between a read and what is made of it.
#[derive(Debug)]
struct Hesitant(Memory);

impl Storage for Hesitant {
    fn length(&self) -> io::Result<u64> {
        self.0.length()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset)?;
        for _ in 0..20 {
            thread::yield_now();
        }
        Ok(())
    }

    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

#[test]
fn volume_written_by_many_at_once_loses_no_byte() {
    let storage = Hesitant(Memory::of(pattern(OFFSET + LENGTH, 1)));
    let volume = Arc::new(Volume::new(storage, &segment(4096), &key()).unwrap());
    let bytes_of = |thread: usize, sector: usize| pattern(1000, (thread * 100 + sector) as u64);
    // Every thread has its own bytes of every sector.
    let writers: Vec<_> = (0..4)
        .map(|thread| {
            let volume = Arc::clone(&volume);
            thread::spawn(move || {
                for sector in 0..16 {
                    let place = sector * 4096 + thread * 1000;
                    volume
                        .write_all_at(&bytes_of(thread, sector), place as u64)
                        .unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.join().unwrap();
    }
    let mut bytes = vec![0; LENGTH];
    volume.read_exact_at(&mut bytes, 0).unwrap();
    for (thread, sector) in (0..4).flat_map(|thread| (0..16).map(move |sector| (thread, sector))) {
        let place = sector * 4096 + thread * 1000;
        assert!(
            bytes[place..place + 1000] == bytes_of(thread, sector),
            "{thread} {sector}"
        );
    }
}

#[test]
fn volume_whole_sector_written_beside_a_part_is_not_lost() {
    for round in 0..50 {
        let storage = Hesitant(Memory::of(pattern(OFFSET + LENGTH, 1)));
        let volume = Volume::new(storage, &segment(4096), &key()).unwrap();
        let (whole, part) = (pattern(4096, round), [0xee; 10]);
        thread::scope(|scope| {
            scope.spawn(|| volume.write_all_at(&part, 100).unwrap());
            scope.spawn(|| volume.write_all_at(&whole, 0).unwrap());
        });
        let mut bytes = vec![0; 4096];
        volume.read_exact_at(&mut bytes, 0).unwrap();
        // Whichever came last: what only the whole one wrote is there.
        assert!(
            bytes[..100] == whole[..100] && bytes[110..] == whole[110..],
            "round {round}"
        );
    }
}
