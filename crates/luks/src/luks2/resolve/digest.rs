//! The digest that proves the key of the data.

use super::{Document, Fault, LONGEST_SALT, broken, read, shortened, unknown_hash};
use crate::luks2::json::{self, Bytes, Typed};
use crate::metadata::Digest;

/// The digest of the data's key, and the names of the slots that hold this key.
pub(super) fn resolve_digest(
    document: &Document,
    segment: &str,
) -> Result<(Digest, Vec<String>), Fault> {
    for (name, value) in &document.digests {
        let what = format!("digest {}", shortened(name));
        let kind = read::<Typed>(&what, value)?.kind;
        if kind != "pbkdf2" {
            continue;
        }
        let digest: json::Digest = read(&what, value)?;
        if let Some(lost) = digest
            .keyslots
            .iter()
            .find(|slot| !document.keyslots.contains_key(*slot))
        {
            return Err(broken(format!(
                "{what} names key slot {}, which is not there",
                shortened(lost)
            )));
        }
        if digest.segments.iter().any(|name| name == segment) {
            return Ok((check_digest(&what, &digest)?, digest.keyslots));
        }
    }
    Err(broken("no digest proves the key of its data".to_owned()))
}

fn check_digest(what: &str, digest: &json::Digest) -> Result<Digest, Fault> {
    let hash = digest
        .hash
        .parse()
        .map_err(|_| unknown_hash(&digest.hash))?;
    if digest.iterations == 0 {
        return Err(broken(format!("{what} has no iterations")));
    }
    if digest.digest.0.len() < 16 || digest.digest.0.len() > LONGEST_SALT {
        return Err(broken(format!(
            "{what} has {} bytes",
            digest.digest.0.len()
        )));
    }
    Ok(Digest {
        hash,
        iterations: digest.iterations,
        salt: checked_salt(what, &digest.salt)?,
        digest: digest.digest.0.clone(),
    })
}

fn checked_salt(what: &str, salt: &Bytes) -> Result<Vec<u8>, Fault> {
    if salt.0.is_empty() || salt.0.len() > LONGEST_SALT {
        return Err(broken(format!(
            "{what} has a salt of {} bytes",
            salt.0.len()
        )));
    }
    Ok(salt.0.clone())
}
