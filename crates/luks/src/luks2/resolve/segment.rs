//! The data segment: one, encrypted, without anything that only device-mapper does.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Fault, broken, read, shortened};
use crate::luks2::json::{Crypt, Flagged, Typed};
use crate::metadata::{Area, Segment};

/// The data and the name of its segment; `keyslots` is the area before it.
pub(super) fn resolve_segment(
    segments: &BTreeMap<String, Value>,
    keyslots: Area,
) -> Result<(String, Segment), Fault> {
    let mut found = None;
    for (name, value) in segments {
        let what = format!("segment {}", shortened(name));
        let flags = read::<Flagged>(&what, value)?.flags;
        if let Some(flag) = flags.first() {
            return Err(Fault::Unsupported(format!(
                "its data is marked \"{}\": a re-encryption did not finish",
                shortened(flag)
            )));
        }
        let kind = read::<Typed>(&what, value)?.kind;
        if kind != "crypt" {
            return Err(Fault::Unsupported(format!(
                "its data is of the kind \"{}\"; only \"crypt\" is known",
                shortened(&kind)
            )));
        }
        if found
            .replace((name, read::<Crypt>(&what, value)?))
            .is_some()
        {
            return Err(Fault::Unsupported(
                "its data is in more than one segment".to_owned(),
            ));
        }
    }
    let (name, crypt) = found.ok_or_else(|| broken("it has no data segment".to_owned()))?;
    Ok((name.clone(), check_segment(&crypt, keyslots)?))
}

fn check_segment(crypt: &Crypt, keyslots: Area) -> Result<Segment, Fault> {
    if crypt.integrity.is_some() {
        let message = "its data has integrity tags, which only device-mapper reads";
        return Err(Fault::Unsupported(message.to_owned()));
    }
    let cipher = crypt
        .encryption
        .parse()
        .map_err(|error| Fault::Unsupported(format!("{error}")))?;
    let sector = u64::from(crypt.sector_size);
    if !matches!(sector, 512 | 1024 | 2048 | 4096) {
        return Err(broken(format!(
            "sectors of {sector} bytes are not possible"
        )));
    }
    let (offset, size) = (crypt.offset.0, crypt.size.0);
    let misplaced = (offset != 0 && offset < keyslots.end())
        || !offset.is_multiple_of(512)
        || size.is_some_and(|size| size == 0 || !size.is_multiple_of(sector))
        || offset.checked_add(size.unwrap_or_default()).is_none();
    if misplaced {
        return Err(broken(format!(
            "data cannot lie at byte {offset} with size {size:?}"
        )));
    }
    Ok(Segment {
        offset,
        size,
        iv_tweak: crypt.iv_tweak.0,
        cipher,
        sector_size: crypt.sector_size,
    })
}
