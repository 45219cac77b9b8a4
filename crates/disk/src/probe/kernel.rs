//! A Linux kernel for x86 (bzImage): the set-up header says how long it is; a signature after it is
//! named by its PE header.
//!
//! Specifications: Linux, `Documentation/arch/x86/boot.rst`; Microsoft's PE format.

use super::damage::Damage;
use super::source::{Examined, Source};
use super::{Facts, ProbeError};
use crate::fields::{le16, le32};

const HEADER: u64 = 0x1f1;

pub(super) fn recognises(source: &Source<'_>) -> Result<bool, ProbeError> {
    Ok(source.has(0x202, b"HdrS")? && source.has(0x1fe, &[0x55, 0xaa])?)
}

pub(super) fn examine(source: &Source<'_>, _: &mut Facts) -> Examined {
    let header: [u8; 32] = source.array(HEADER)?;
    let set_up_sectors = match header[0] {
        0 => 4,
        sectors => u64::from(sectors),
    };
    let protocol = le16(&header, 0x206 - 0x1f1);
    // Before 2.04 the size had 16 bits, and no kernel from this century has it.
    if protocol < 0x0204 {
        return Err(Damage::new(
            "it is a kernel of an old boot protocol",
            "use a kernel from 2.6.14 on",
        )
        .into());
    }
    let size = (set_up_sectors + 1) * 512 + u64::from(le32(&header, 3)) * 16;
    let needed = size.max(signature_end(source)?);
    if needed > source.len() {
        return Err(Damage::cut_short(source.len(), needed, true).into());
    }
    Ok(())
}

/// Where the signature for secure boot ends; 0 where there is none.
fn signature_end(source: &Source<'_>) -> Examined<u64> {
    const PE32_PLUS: u16 = 0x20b;
    const CERTIFICATES: usize = 4;
    let start: [u8; 64] = source.array(0)?;
    if !start.starts_with(b"MZ") {
        return Ok(0);
    }
    let pe: [u8; 24 + 112 + (CERTIFICATES + 1) * 8] =
        source.array(u64::from(le32(&start, 0x3c)))?;
    let optional = &pe[24..];
    let directories = le32(optional, 108) as usize;
    if !pe.starts_with(b"PE\0\0") || le16(optional, 0) != PE32_PLUS || directories <= CERTIFICATES {
        return Ok(0);
    }
    let entry = 112 + CERTIFICATES * 8;
    Ok(u64::from(le32(optional, entry)) + u64::from(le32(optional, entry + 4)))
}
