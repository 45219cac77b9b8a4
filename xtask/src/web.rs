//! The page: `npm ci` and `npm run build` in web/, only when their inputs changed.
//!
//! A stamp under target/ holds the hash of what the last successful run was made from; times
//! of files say nothing after a checkout.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::cache::digest;
use crate::tool::{run_visibly, tool};

/// Folders of web/ that are results, not sources.
const RESULTS: [&str; 3] = ["node_modules", "dist", "test-results"];

/// Makes web/dist match web/'s sources. Does nothing when it already does.
pub fn build() -> Result<()> {
    let root = workspace();
    let page = Page {
        folder: root.join("web"),
        stamps: root.join("target/xtask"),
    };
    page.build()
}

/// The root of the repository.
pub fn workspace() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_path_buf()
}

/// Where the page's sources are, and where it is noted what was made of them.
struct Page {
    folder: PathBuf,
    stamps: PathBuf,
}

impl Page {
    fn build(&self) -> Result<()> {
        self.install()?;
        let sources = tree_digest(&self.folder)?;
        let stamp = self.stamps.join("web.stamp");
        if self.folder.join("dist/index.html").is_file() && matches(&stamp, &sources) {
            return Ok(());
        }
        eprintln!("web: building the page");
        run_visibly(self.npm()?.args(["run", "build"]))?;
        write(&stamp, &sources)
    }

    fn install(&self) -> Result<()> {
        let lock = self.folder.join("package-lock.json");
        let lock = fs::read(&lock)
            .with_context(|| format!("{} cannot be read: is there a page?", lock.display()))?;
        let wanted = digest(&lock);
        let stamp = self.stamps.join("npm.stamp");
        if self.folder.join("node_modules").is_dir() && matches(&stamp, &wanted) {
            return Ok(());
        }
        eprintln!("web: installing the page's dependencies");
        run_visibly(self.npm()?.args(["ci", "--no-audit", "--no-fund"]))?;
        write(&stamp, &wanted)
    }

    fn npm(&self) -> Result<Command> {
        let mut npm = tool("npm")?;
        npm.current_dir(&self.folder);
        Ok(npm)
    }
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

    /// A page whose build appends a line to dist/index.html and to a count beside it.
    fn page(root: &Path) -> Page {
        let folder = root.join("web");
        fs::create_dir_all(folder.join("src")).unwrap();
        fs::create_dir(folder.join("node_modules")).unwrap();
        let build = "mkdir -p dist && echo built >> dist/index.html && echo built >> ../count";
        let package =
            format!(r#"{{"name":"x","version":"1.0.0","scripts":{{"build":"{build}"}}}}"#);
        fs::write(folder.join("package.json"), package).unwrap();
        let lock = r#"{"name":"x","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"x","version":"1.0.0"}}}"#;
        fs::write(folder.join("package-lock.json"), lock).unwrap();
        Page {
            folder,
            stamps: root.join("stamps"),
        }
    }

    #[test]
    fn build_runs_only_when_sources_or_result_changed() {
        let root = tempfile::tempdir().unwrap();
        let page = page(root.path());
        let builds = || {
            fs::read_to_string(root.path().join("count"))
                .unwrap()
                .lines()
                .count()
        };
        page.build().unwrap();
        // npm removes the folder when it has nothing to put there; dependencies keep it.
        fs::create_dir_all(page.folder.join("node_modules")).unwrap();
        page.build().unwrap();
        assert_eq!(builds(), 1);
        fs::write(page.folder.join("src/app.ts"), "new").unwrap();
        page.build().unwrap();
        assert_eq!(builds(), 2);
        fs::remove_dir_all(page.folder.join("dist")).unwrap();
        page.build().unwrap();
        assert_eq!(builds(), 3);
    }

    #[test]
    fn build_that_fails_is_tried_again() {
        let root = tempfile::tempdir().unwrap();
        let page = page(root.path());
        let good = fs::read_to_string(page.folder.join("package.json")).unwrap();
        let bad = good.replace("mkdir -p dist", "false");
        fs::write(page.folder.join("package.json"), bad).unwrap();
        assert!(page.build().is_err());
        assert!(page.build().is_err());
        fs::write(page.folder.join("package.json"), good).unwrap();
        page.build().unwrap();
    }
}
