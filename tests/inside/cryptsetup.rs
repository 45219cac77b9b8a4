//! LUKS containers, ours opened by `cryptsetup` and the kernel's dm-crypt, theirs by us; and the data
//! compared, whichever side wrote it.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use kinglet_luks::hash::Hash;
use kinglet_luks::kdf::Argon2Cost;
use kinglet_luks::{Container, Cost, FormatOptions, Limits, Secret, Volume};
use kinglet_tests::Dice;
use kinglet_tests::disks::run;

/// Bytes of data in each container.
const DATA: usize = 1 << 20;
const PASSPHRASE: &[u8] = b"correct horse";
/// What the container is called below /dev/mapper while it is open.
const MAPPED: &str = "kinglet-check";

/// A key derivation as each side is asked for it; as much of it as an emulated machine can bear.
struct Derivation {
    name: &'static str,
    ours: Cost,
    theirs: &'static [&'static str],
}

const DERIVATIONS: [Derivation; 2] = [
    Derivation {
        name: "argon2id",
        ours: Cost::Argon2id(Argon2Cost {
            memory: 4096,
            passes: 4,
            lanes: 2,
        }),
        theirs: &[
            "--pbkdf=argon2id",
            "--pbkdf-memory=4096",
            "--pbkdf-force-iterations=4",
            "--pbkdf-parallel=2",
        ],
    },
    Derivation {
        name: "pbkdf2",
        ours: Cost::Pbkdf2 {
            hash: Hash::Sha256,
            iterations: 1000,
        },
        theirs: &["--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000"],
    },
];

/// Every combination, both ways.
pub fn both_ways() -> Result<()> {
    let key = Path::new("/run/key");
    fs::write(key, PASSPHRASE)?;
    let mut dice = Dice::new(1);
    for derivation in &DERIVATIONS {
        for sector in [512, 4096] {
            let what = format!("{}, {sector}-byte sectors", derivation.name);
            ours(derivation, sector, key, &mut dice)
                .with_context(|| format!("our container, {what}"))?;
            let size = format!("--sector-size={sector}");
            let options = [&["--type=luks2", &size], derivation.theirs].concat();
            theirs(&options, key, true, &mut dice)
                .with_context(|| format!("cryptsetup's container, {what}"))?;
            println!("{what}: both ways");
        }
    }
    for cipher in ["aes-xts-plain64", "aes-cbc-essiv:sha256"] {
        let cipher = format!("--cipher={cipher}");
        let options = ["--type=luks1", "--pbkdf-force-iterations=1000", &cipher];
        theirs(&options, key, false, &mut dice).with_context(|| format!("LUKS1, {cipher}"))?;
        println!("LUKS1 {cipher}: read");
    }
    Ok(())
}

/// A container that we make and fill: the kernel reads it, changes it, has a file system in it.
fn ours(derivation: &Derivation, sector: u32, key: &Path, dice: &mut Dice) -> Result<()> {
    let path = Path::new("/run/ours");
    let file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    let mut options = FormatOptions::new(DATA as u64, derivation.ours);
    options.sector_size = sector;
    file.set_len(options.data_offset + DATA as u64)?;
    let (container, volume_key) = Container::format(&file, &options, &secret(), limits())?;
    let volume = container.into_volume(&volume_key)?;
    let mut data = dice.bytes(DATA);
    volume.write_all_at(&data, 0)?;
    volume.sync()?;

    mapped(path, key, |mapped| {
        ensure!(fs::read(mapped)? == data, "the kernel reads something else");
        change(&File::options().write(true).open(mapped)?, &mut data, dice)
    })?;
    ensure!(
        open(path)?.1 == data,
        "what the kernel wrote reads differently here"
    );

    // A file system of theirs, looked at through ours.
    mapped(path, key, |mapped| {
        run("mkfs.ext4", ["-q".as_ref(), mapped.as_os_str()])?;
        Ok(())
    })?;
    let plain = Path::new("/run/plain");
    fs::write(plain, open(path)?.1)?;
    run("e2fsck", ["-f".as_ref(), "-n".as_ref(), plain.as_os_str()])?;
    Ok(())
}

/// A container that cryptsetup makes and the kernel fills: we read it, and change it where we may.
fn theirs(options: &[&str], key: &Path, writes: bool, dice: &mut Dice) -> Result<()> {
    let path = Path::new("/run/theirs");
    let header = if writes { 16 << 20 } else { 2 << 20 };
    File::create(path)?.set_len(header + DATA as u64)?;
    let place = [key.as_os_str(), path.as_os_str()];
    let format = ["--batch-mode", "luksFormat", "--key-file"].map(AsRef::as_ref);
    let options = options.iter().map(AsRef::as_ref);
    run(
        "cryptsetup",
        options.chain(format).chain(place).collect::<Vec<_>>(),
    )?;
    let mut data = dice.bytes(DATA);
    mapped(path, key, |mapped| {
        let device = File::options().read(true).write(true).open(mapped)?;
        let length = rustix::fs::seek(&device, rustix::fs::SeekFrom::End(0))?;
        ensure!(length == DATA as u64, "{length} bytes in it");
        device.write_all_at(&data, 0)?;
        Ok(device.sync_all()?)
    })?;
    let (volume, read) = open(path)?;
    ensure!(read == data, "what the kernel wrote reads differently here");
    if writes {
        change(&volume, &mut data, dice)?;
        volume.sync()?;
        mapped(path, key, |mapped| {
            ensure!(fs::read(mapped)? == data, "the kernel reads something else");
            Ok(())
        })?;
    }
    Ok(())
}

/// Where bytes can be put.
trait Target {
    fn put(&self, bytes: &[u8], offset: u64) -> std::io::Result<()>;
}

impl Target for File {
    fn put(&self, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        self.write_all_at(bytes, offset)?;
        self.sync_all()
    }
}

impl Target for Volume<File> {
    fn put(&self, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        self.write_all_at(bytes, offset)
    }
}

/// Writes anew at a few places, of no particular alignment.
fn change(target: &dyn Target, data: &mut [u8], dice: &mut Dice) -> Result<()> {
    for _ in 0..4 {
        let length = usize::try_from(dice.roll(20_000))? + 1;
        let offset = usize::try_from(dice.roll((DATA - length) as u64))?;
        let bytes = dice.bytes(length);
        target.put(&bytes, offset as u64)?;
        data[offset..offset + length].copy_from_slice(&bytes);
    }
    Ok(())
}

/// Opens a container with cryptsetup for as long as `act` takes.
fn mapped(path: &Path, key: &Path, act: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let options = ["open", "--key-file"].map(AsRef::as_ref);
    let place = [key.as_os_str(), path.as_os_str(), MAPPED.as_ref()];
    run("cryptsetup", options.into_iter().chain(place))?;
    let result = act(&PathBuf::from("/dev/mapper").join(MAPPED));
    run("cryptsetup", ["close", MAPPED])?;
    result
}

/// Opens a container with our crate, and reads all of it.
fn open(path: &Path) -> Result<(Volume<File>, Vec<u8>)> {
    let file = File::options().read(true).write(true).open(path)?;
    let container = Container::open(file, limits())?;
    let key = container.unlock(&secret())?.key;
    let volume = container.into_volume(&key)?;
    let mut data = vec![0; usize::try_from(volume.length())?];
    volume.read_exact_at(&mut data, 0)?;
    Ok((volume, data))
}

fn secret() -> Secret {
    Secret::copy_of(PASSPHRASE)
}

fn limits() -> Limits {
    Limits::for_memory(64 << 20)
}
