//! The page: `npm ci` and `npm run build` in web/, only when their inputs changed.
//!
//! A stamp under target/ holds the hash of what the last successful run was made from; times
//! of files say nothing after a checkout.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::cache::digest;
use crate::tool::{run_visibly, tool};

/// Folders of web/ that are results, not sources.
const RESULTS: [&str; 3] = ["node_modules", "dist", "test-results"];

/// Makes web/dist match web/'s sources. Does nothing when it already does.
pub fn build() -> Result<()> {
    let web = workspace().join("web");
    if !web.join("package-lock.json").is_file() {
        bail!(
            "{} has no package-lock.json: there is no page to build",
            web.display()
        );
    }
    install(&web)?;
    let sources = tree_digest(&web)?;
    let stamp = stamp("web");
    if web.join("dist/index.html").is_file() && matches(&stamp, &sources) {
        return Ok(());
    }
    eprintln!("web: building the page");
    run_visibly(tool("npm")?.current_dir(&web).args(["run", "build"]))?;
    write(&stamp, &sources)
}

/// The root of the repository.
pub fn workspace() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

fn install(web: &Path) -> Result<()> {
    let lock = fs::read(web.join("package-lock.json")).context("package-lock.json")?;
    let wanted = digest(&lock);
    let stamp = stamp("npm");
    if web.join("node_modules").is_dir() && matches(&stamp, &wanted) {
        return Ok(());
    }
    eprintln!("web: installing the page's dependencies");
    run_visibly(
        tool("npm")?
            .current_dir(web)
            .args(["ci", "--no-audit", "--no-fund"]),
    )?;
    write(&stamp, &wanted)
}

fn stamp(name: &str) -> PathBuf {
    workspace()
        .join("target/xtask")
        .join(format!("{name}.stamp"))
}

fn matches(stamp: &Path, wanted: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|found| found == wanted)
}

fn write(stamp: &Path, content: &str) -> Result<()> {
    let folder = stamp.parent().context("a stamp has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    fs::write(stamp, content).with_context(|| format!("{} cannot be written", stamp.display()))
}

/// One hash over names and contents of all source files under `folder`.
fn tree_digest(folder: &Path) -> Result<String> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort();
    let mut whole = Sha256::new();
    for file in files {
        let content = fs::read(&file).with_context(|| format!("{}", file.display()))?;
        let name = file
            .strip_prefix(folder)
            .unwrap_or(&file)
            .to_string_lossy()
            .into_owned();
        whole.update(format!("{} {name}\n", digest(&content)));
    }
    Ok(whole
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("{}", folder.display()))? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let result = RESULTS.iter().any(|name| entry.file_name() == *name);
        if kind.is_dir() && !result {
            collect(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tree_digest_sees_content_and_names_but_not_results() {
        let web = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let path = web.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        put("src/app.ts", "1");
        let first = tree_digest(web.path()).unwrap();
        put("dist/app.js", "built");
        put("node_modules/x/index.js", "x");
        assert_eq!(tree_digest(web.path()).unwrap(), first);
        put("src/app.ts", "2");
        let second = tree_digest(web.path()).unwrap();
        assert_ne!(second, first);
        fs::rename(
            web.path().join("src/app.ts"),
            web.path().join("src/main.ts"),
        )
        .unwrap();
        assert_ne!(tree_digest(web.path()).unwrap(), second);
    }
}
