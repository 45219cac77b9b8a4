//! Embeds the page: every file of `web/dist`, also compressed, with a digest for its `ETag`.
//!
//! Without the folder a small page is embedded that says how to build the real one.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

const NOT_BUILT: &str = "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
<title>Kinglet</title>\n<h1>The page is not in this build</h1>\n\
<p>Build it and the program together with <code>cargo xtask build</code>. The API and the \
command line work without it.</p>\n</html>\n";

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    let web = manifest.join("../../web");
    let dist = web.join("dist");
    // Cargo watches a folder that exists; one that does not would make every build start anew.
    if web.is_dir() {
        let _ = fs::create_dir(&dist);
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut files = Vec::new();
    collect(&dist, &mut files)?;
    files.sort();
    if !files.iter().any(|file| *file == dist.join("index.html")) {
        let page = out.join("not-built").join("index.html");
        fs::create_dir_all(out.join("not-built"))?;
        fs::write(&page, NOT_BUILT)?;
        return embed(&out, &out.join("not-built"), &[page]);
    }
    embed(&out, &dist, &files)
}

fn variable(name: &str) -> io::Result<String> {
    std::env::var(name).map_err(|_| io::Error::other(format!("cargo did not set {name}")))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        match entry.file_type()? {
            kind if kind.is_dir() => collect(&entry.path(), files)?,
            kind if kind.is_file() => files.push(entry.path()),
            _ => {}
        }
    }
    Ok(())
}

fn embed(out: &Path, root: &Path, files: &[PathBuf]) -> io::Result<()> {
    let mut code = String::from("pub static FILES: &[File] = &[\n");
    for (number, file) in files.iter().enumerate() {
        let bytes = fs::read(file)?;
        let name = file
            .strip_prefix(root)
            .map_err(io::Error::other)?
            .to_string_lossy();
        let packed = pack(&bytes)?;
        let gzip = if packed.len() < bytes.len() * 9 / 10 {
            let place = out.join(format!("{number}.gz"));
            fs::write(&place, &packed)?;
            format!("Some(include_bytes!({:?}))", place.display().to_string())
        } else {
            "None".to_owned()
        };
        let place = fs::canonicalize(file)?.display().to_string();
        let etag = format!("\"{:016x}\"", digest(&bytes));
        let _ = writeln!(
            code,
            "    File {{ path: {name:?}, bytes: include_bytes!({place:?}), gzip: {gzip}, \
             etag: {etag:?} }},"
        );
    }
    code.push_str("];\n");
    fs::write(out.join("page.rs"), code)
}

fn pack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// FNV-1a, 64 bits: enough to tell one build's file from another's.
fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
