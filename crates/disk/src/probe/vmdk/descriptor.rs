//! The text that describes a VMDK: its parent and its extents.

use super::super::ProbeError;
use super::super::damage::shown_name;
use super::super::source::Source;

const SIGNATURE: &[u8] = b"# disk descriptorfile";
/// Lines that are looked at.
const LINES_MAX: usize = 4096;
/// Extents that are remembered.
const EXTENTS_MAX: usize = 64;
const NO_PARENT: &[u8] = b"ffffffff";

/// What a descriptor says.
#[derive(Debug, Default)]
pub(super) struct Descriptor {
    /// Sectors of all extents together.
    pub(super) sectors: u64,
    /// Their files.
    pub(super) extents: Vec<String>,
    /// The disk under it.
    pub(super) parent: Option<String>,
}

impl Descriptor {
    /// Whether the file is one.
    pub(super) fn starts(source: &Source<'_>) -> Result<bool, ProbeError> {
        match source.read(0, SIGNATURE.len()) {
            Ok(start) => Ok(start.eq_ignore_ascii_case(SIGNATURE)),
            Err(super::Trouble::Read(error)) => Err(error),
            Err(_) => Ok(false),
        }
    }

    /// Reads what matters; lines that mean nothing here are passed over.
    pub(super) fn parse(text: &[u8]) -> Self {
        let end = text
            .iter()
            .position(|byte| *byte == 0)
            .unwrap_or(text.len());
        let (mut descriptor, mut parent_id, mut hint) = (Self::default(), NO_PARENT, None);
        for line in text[..end].split(|byte| *byte == b'\n').take(LINES_MAX) {
            let line = line.trim_ascii();
            if let Some(value) = value_of(line, b"parentCID") {
                parent_id = value;
            } else if let Some(value) = value_of(line, b"parentFileNameHint") {
                hint = Some(shown_name(unquoted(value)));
            } else {
                descriptor.add_extent(line);
            }
        }
        if !parent_id.eq_ignore_ascii_case(NO_PARENT) {
            descriptor.parent = Some(hint.unwrap_or_else(|| "a parent without a name".to_owned()));
        }
        descriptor
    }

    /// `RW 4192256 SPARSE "disk-s001.vmdk" [offset]`
    fn add_extent(&mut self, line: &[u8]) {
        let mut words = line.splitn(4, |byte| *byte == b' ');
        let (Some(access), Some(size), Some(kind)) = (words.next(), words.next(), words.next())
        else {
            return;
        };
        let accesses: [&[u8]; 3] = [b"RW", b"RDONLY", b"NOACCESS"];
        let size = std::str::from_utf8(size)
            .ok()
            .and_then(|size| size.parse::<u64>().ok());
        let (true, Some(size)) = (accesses.contains(&access), size) else {
            return;
        };
        self.sectors = self.sectors.saturating_add(size);
        if kind != b"ZERO" && self.extents.len() < EXTENTS_MAX {
            self.extents
                .push(shown_name(unquoted(words.next().unwrap_or_default())));
        }
    }
}

fn value_of<'a>(line: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let rest = line.get(key.len()..)?.trim_ascii_start();
    if !line[..key.len()].eq_ignore_ascii_case(key) {
        return None;
    }
    Some(rest.strip_prefix(b"=")?.trim_ascii())
}

/// What stands between the first two quotation marks; without them all of it.
fn unquoted(text: &[u8]) -> &[u8] {
    let mut parts = text.split(|byte| *byte == b'"');
    match (parts.next(), parts.next()) {
        (_, Some(inside)) => inside,
        (Some(all), None) => all,
        (None, None) => text,
    }
}
