//! Disk images that other people's tools make, for the tests to copy in.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// Runs a program that must succeed, and gives what it printed.
pub fn run<I, S>(program: &str, arguments: I) -> Result<String>
where
    I: IntoIterator<Item = S>,
    S: AsRef<OsStr>,
{
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {program}; `cargo xtask test` installs it"))?;
    ensure!(
        output.status.success(),
        "{program} ended with {}:\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A qcow2 of `size` bytes with `data` bytes of random content in it, made by qemu-img.
pub fn qcow2(path: &Path, data: usize, size: u64) -> Result<()> {
    let raw = path.with_extension("raw-source");
    let mut random = vec![0; data];
    File::open("/dev/urandom")?.read_exact(&mut random)?;
    let mut file = File::create(&raw)?;
    file.write_all(&random)?;
    file.set_len(size)?;
    drop(file);
    let arguments = [
        "convert".as_ref(),
        "-f".as_ref(),
        "raw".as_ref(),
        "-O".as_ref(),
    ];
    let places = ["qcow2".as_ref(), raw.as_os_str(), path.as_os_str()];
    run(
        "qemu-img",
        arguments.into_iter().chain::<[&OsStr; 3]>(places),
    )?;
    std::fs::remove_file(raw)?;
    Ok(())
}

/// Copies a file as `scp` does over a slow line: the final name from the first byte on, a little at a
/// time. `between` is called after each piece but the last.
pub fn copy_slowly(
    from: &Path,
    to: &Path,
    pieces: usize,
    mut between: impl FnMut(usize) -> Result<()>,
) -> Result<()> {
    let mut source = Vec::new();
    File::open(from)?.read_to_end(&mut source)?;
    let mut target = File::create(to)?;
    let size = source.len().div_ceil(pieces);
    for (index, piece) in source.chunks(size).enumerate() {
        target.write_all(piece)?;
        target.flush()?;
        if (index + 1) * size < source.len() {
            std::thread::sleep(Duration::from_millis(20));
            between(index)?;
        }
    }
    Ok(())
}
