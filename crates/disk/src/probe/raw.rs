//! A raw disk: the bytes that a guest sees, nothing around them. Anything is one that has a whole
//! number of sectors and is not evidently something else.

use kinglet_model::image::PartitionTable;

use super::damage::Damage;
use super::source::{Examined, Source, Trouble};
use super::{Facts, ProbeError, foreign, gpt, mbr};

const SECTOR: u64 = 512;

#[expect(
    clippy::unnecessary_wraps,
    reason = "the shape of every row of FORMATS"
)]
pub(super) fn recognises(_: &Source<'_>) -> Result<bool, ProbeError> {
    Ok(true)
}

pub(super) fn examine(source: &Source<'_>, facts: &mut Facts) -> Examined {
    facts.virtual_size = source.known_len();
    if source.len() == 0 {
        return Err(Damage::not_an_image("it is empty", "copy it again").into());
    }
    foreign::refuse(source)?;
    if let Some(length) = source.known_len()
        && !length.is_multiple_of(SECTOR)
    {
        return Err(Damage::not_an_image(
            "its size is not a whole number of 512-byte sectors",
            "copy it again, or remove it if it is no disk image",
        )
        .into());
    }
    if let Some(table) = gpt::find(source)? {
        facts.partitions = Some(PartitionTable::Gpt);
        return table.check(source);
    }
    if let Some(table) = mbr::find(source)? {
        facts.partitions = Some(PartitionTable::Mbr);
        return table.check(source);
    }
    facts.partitions = Some(PartitionTable::None);
    Ok(())
}

/// Which table stands in the first sectors of a disc. The disc's own size is what is checked.
pub(super) fn partitions_of_disc(source: &Source<'_>) -> Result<PartitionTable, Trouble> {
    if gpt::find(source)?.is_some() {
        return Ok(PartitionTable::Gpt);
    }
    Ok(match mbr::find(source)? {
        Some(_) => PartitionTable::Mbr,
        None => PartitionTable::None,
    })
}
