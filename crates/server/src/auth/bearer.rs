//! The token file: a secret for programs that reach the daemon over TCP.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::secret::{self, Hashed};
use crate::error::ServeError;

/// A token shorter than this was not made by us and can be guessed.
const MIN_LEN: usize = 32;
const MAX_LEN: u64 = 4096;

/// The token in the token file.
pub struct Bearer(Hashed);

impl Bearer {
    /// Reads the file, or makes it with a new token where it is absent.
    ///
    /// # Errors
    /// When it cannot be read or made, others can read it, or its token is too short.
    pub fn open(path: &Path) -> Result<Self, ServeError> {
        let failed = |why: String| ServeError::TokenFile {
            path: path.to_owned(),
            why,
        };
        let token = match File::open(path) {
            Ok(file) => read(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                create(path).map_err(|error| error.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        token.map(|token| Self(Hashed::of(&token))).map_err(failed)
    }

    /// Whether the token is this one.
    pub fn is(&self, token: &str) -> bool {
        self.0.is(&Hashed::of(token))
    }
}

fn read(file: File) -> Result<String, String> {
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    if metadata.mode() & 0o077 != 0 {
        return Err("others can read it; chmod 600 it, or delete it to get a new one".to_owned());
    }
    let mut text = String::new();
    file.take(MAX_LEN)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    let token = text.trim();
    if token.len() < MIN_LEN {
        return Err("its token is too short; delete it to get a new one".to_owned());
    }
    Ok(token.to_owned())
}

fn create(path: &Path) -> io::Result<String> {
    let token = secret::generate();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    writeln!(file, "{token}")?;
    file.sync_all()?;
    Ok(token)
}
