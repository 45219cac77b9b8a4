//! What the tests of this crate share: other people's tools, and storage in memory.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use kinglet_luks::kdf::Argon2Cost;
use kinglet_luks::{Cost, Limits, Secret, Storage};
use tempfile::TempDir;

pub const MIB: u64 = 1 << 20;

/// Argon2id as small as it may be.
pub const CHEAP: Cost = Cost::Argon2id(Argon2Cost {
    memory: 64,
    passes: 4,
    lanes: 2,
});

pub fn limits() -> Limits {
    Limits::for_memory(256 * MIB)
}

pub fn secret(text: &str) -> Secret {
    Secret::copy_of(text.as_bytes())
}

/// A folder with a container and passphrases in files, for tools that want files.
pub struct Bench {
    folder: TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A sparse file of `size` bytes.
    pub fn image(&self, name: &str, size: u64) -> PathBuf {
        let path = self.path(name);
        File::create(&path).unwrap().set_len(size).unwrap();
        path
    }

    /// A file that holds `text` and nothing else.
    pub fn key_file(&self, text: &str) -> String {
        let path = self.path(&format!("key-{text}"));
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The volume key that cryptsetup gets out of a container.
    pub fn their_volume_key(&self, image: &Path, passphrase: &str) -> Vec<u8> {
        let output = self.path("volume-key");
        let _ = fs::remove_file(&output);
        let key_file = self.key_file(passphrase);
        let arguments = ["luksDump", "--dump-volume-key", "--key-file", &key_file];
        let place = ["--volume-key-file", output.to_str().unwrap()];
        cryptsetup(&[&arguments[..], &place, &[image.to_str().unwrap()]].concat());
        fs::read(output).unwrap()
    }

    /// Whether cryptsetup opens the slot with the passphrase.
    pub fn they_open(&self, image: &Path, slot: u32, passphrase: &str) -> bool {
        let (slot, key_file) = (slot.to_string(), self.key_file(passphrase));
        let arguments = [
            "open",
            "--test-passphrase",
            "--key-slot",
            &slot,
            "--key-file",
            &key_file,
        ];
        let status = command("cryptsetup")
            .args(arguments)
            .arg(image)
            .output()
            .unwrap()
            .status
            .code();
        match status {
            Some(0) => true,
            // 1: no such slot; 2: no permission, which is a wrong passphrase.
            Some(1 | 2) => false,
            other => panic!("cryptsetup open --test-passphrase: {other:?}"),
        }
    }
}

pub fn open_file(path: &Path) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap()
}

/// The figures that make cryptsetup's key derivation quick.
pub const CHEAP_ARGON2: [&str; 6] = [
    "--pbkdf-memory",
    "64",
    "--pbkdf-force-iterations",
    "4",
    "--pbkdf-parallel",
    "2",
];
pub const CHEAP_PBKDF2: [&str; 4] = ["--pbkdf", "pbkdf2", "--pbkdf-force-iterations", "1000"];

pub fn cryptsetup(arguments: &[&str]) -> String {
    run("cryptsetup", &[&["--batch-mode"], arguments].concat())
}

pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = command(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("LC_ALL", "C");
    command
}

/// Bytes that differ from place to place and from seed to seed.
pub fn pattern(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Storage in memory that remembers every write and sync, so that a power cut can be played.
#[derive(Debug, Default)]
pub struct Memory {
    pub bytes: Mutex<Vec<u8>>,
    pub log: Mutex<Vec<Event>>,
}

#[derive(Debug, Clone)]
pub enum Event {
    Write(u64, Vec<u8>),
    Sync,
}

impl Memory {
    pub fn of(bytes: Vec<u8>) -> Self {
        Self {
            bytes: Mutex::new(bytes),
            log: Mutex::default(),
        }
    }

    pub fn contents(&self) -> Vec<u8> {
        self.bytes.lock().unwrap().clone()
    }
}

pub fn apply(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let start = offset as usize;
    if bytes.len() < start + data.len() {
        bytes.resize(start + data.len(), 0);
    }
    bytes[start..start + data.len()].copy_from_slice(data);
}

impl Storage for Memory {
    fn length(&self) -> io::Result<u64> {
        Ok(self.bytes.lock().unwrap().len() as u64)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes = self.bytes.lock().unwrap();
        bytes[..].read_exact_at(buffer, offset)
    }

    fn write_all_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
        apply(&mut self.bytes.lock().unwrap(), offset, data);
        self.log
            .lock()
            .unwrap()
            .push(Event::Write(offset, data.to_vec()));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.log.lock().unwrap().push(Event::Sync);
        Ok(())
    }
}
