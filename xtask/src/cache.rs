//! The cache of things that take long to make: one folder each, complete or absent.
//!
//! A folder is named by its recipe's hash, so a changed recipe makes a new one and a test that
//! still uses the old one is not disturbed. It is built under a temporary name and renamed into
//! place; one lock per kind lets a second builder wait for the first and then find its result.

use std::env;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// File in a finished folder that says what it was made from.
const RECIPE_FILE: &str = "recipe";

/// Hexadecimal digits of the hash in a folder's name.
const HASH_DIGITS: usize = 12;

/// The cache folder: `$KINGLET_CACHE`, else `$XDG_CACHE_HOME/kinglet`, else `~/.cache/kinglet`.
pub fn root() -> Result<PathBuf> {
    let set = |name| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    let path = match (set("KINGLET_CACHE"), set("XDG_CACHE_HOME")) {
        (Some(path), _) => path,
        (None, Some(path)) => path.join("kinglet"),
        (None, None) => env::home_dir()
            .context("no cache folder is known: set KINGLET_CACHE to a folder with 4 GiB free")?
            .join(".cache/kinglet"),
    };
    std::path::absolute(&path).with_context(|| format!("{} is not a usable path", path.display()))
}

/// The folder `shelf/kind-<hash of recipe>`, made by `build` if it is not there yet.
///
/// `build` gets an empty folder to fill. If it fails, or the process is killed, nothing is
/// left under the final name, and the next call clears the remains.
pub fn obtain(
    shelf: &Path,
    kind: &str,
    recipe: &str,
    build: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let finished = shelf.join(format!("{kind}-{}", hash(recipe)));
    if finished.is_dir() {
        return Ok(finished);
    }
    fs::create_dir_all(shelf).with_context(|| format!("{} cannot be made", shelf.display()))?;
    let _lock = lock(shelf, kind)?;
    if finished.is_dir() {
        return Ok(finished);
    }
    let unfinished = shelf.join(format!(".{kind}.building"));
    remove(&unfinished)?;
    fs::create_dir(&unfinished)
        .with_context(|| format!("{} cannot be made", unfinished.display()))?;
    let built = build(&unfinished).and_then(|()| {
        fs::write(unfinished.join(RECIPE_FILE), recipe).context("the recipe cannot be written")?;
        rustix::fs::syncfs(File::open(&unfinished)?).context("the cache cannot be synced")?;
        fs::rename(&unfinished, &finished)
            .with_context(|| format!("{} cannot be put in place", finished.display()))
    });
    if built.is_err() {
        // The build's error is the one that matters; the next call clears again.
        let _ = remove(&unfinished);
    }
    built.map(|()| finished)
}

/// The name of a recipe: the first digits of its SHA-256.
pub fn hash(recipe: &str) -> String {
    digest(recipe.as_bytes())
        .chars()
        .take(HASH_DIGITS)
        .collect()
}

/// SHA-256 in hexadecimal.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Held as long as the file is open; a killed process lets go by itself.
fn lock(shelf: &Path, kind: &str) -> Result<File> {
    let path = shelf.join(format!(".{kind}.lock"));
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .with_context(|| format!("{} cannot be opened", path.display()))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!("{kind}: waiting for another build of it to end");
            file.lock()
                .with_context(|| format!("{} cannot be locked", path.display()))?;
        }
        Err(TryLockError::Error(error)) => {
            return Err(error).with_context(|| format!("{} cannot be locked", path.display()));
        }
    }
    Ok(file)
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", folder.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn hash_follows_content() {
        assert_eq!(hash(""), "e3b0c44298fc");
        assert_ne!(hash("suite bookworm"), hash("suite trixie"));
    }

    #[test]
    fn obtain_builds_once_and_keeps_the_recipe() {
        let shelf = tempfile::tempdir().unwrap();
        let make = |folder: &Path| Ok(fs::write(folder.join("disk"), "x")?);
        let first = obtain(shelf.path(), "thing", "one", make).unwrap();
        let again = obtain(shelf.path(), "thing", "one", |_| panic!("built twice")).unwrap();
        assert_eq!(first, again);
        assert_eq!(fs::read_to_string(first.join(RECIPE_FILE)).unwrap(), "one");
        let other = obtain(shelf.path(), "thing", "two", make).unwrap();
        assert_ne!(first, other);
    }

    #[test]
    fn obtain_leaves_nothing_of_a_failed_build_and_clears_a_killed_one() {
        let shelf = tempfile::tempdir().unwrap();
        let remains = shelf.path().join(".thing.building/half");
        fs::create_dir_all(&remains).unwrap();
        let failed = obtain(shelf.path(), "thing", "r", |folder| {
            assert_eq!(fs::read_dir(folder)?.count(), 0);
            anyhow::bail!("no space")
        });
        assert_eq!(failed.unwrap_err().to_string(), "no space");
        assert!(!shelf.path().join(".thing.building").exists());
        assert!(!shelf.path().join(format!("thing-{}", hash("r"))).exists());
    }

    #[test]
    fn obtain_by_two_at_once_builds_once() {
        let shelf = tempfile::tempdir().unwrap();
        let builds = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    obtain(shelf.path(), "thing", "r", |_| {
                        builds.fetch_add(1, Ordering::SeqCst);
                        Ok(())
                    })
                    .unwrap();
                });
            }
        });
        assert_eq!(builds.into_inner(), 1);
    }
}
