//! Lines of `/etc/fstab` and of BusyBox's `/etc/inittab`, edited as bytes.

use kinglet_model::memory::BootManager;

use super::BootEntry;
use crate::proc::unescape;
use crate::swap::Slot;

/// A file of lines, one of which may be ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Fstab,
    Inittab,
}

impl Table {
    pub(super) const ALL: [Self; 2] = [Self::Fstab, Self::Inittab];

    pub(super) const fn manager(self) -> BootManager {
        match self {
            Self::Fstab => BootManager::Fstab,
            Self::Inittab => BootManager::Inittab,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Fstab => "fstab",
            Self::Inittab => "inittab",
        }
    }

    pub(super) fn path(self) -> String {
        format!("etc/{}", self.name())
    }
}

/// Whether an `inittab` is BusyBox's: its lines name no run levels, and none is the default.
pub(super) fn is_busybox(text: &[u8]) -> bool {
    let mut fields = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.starts_with(b"#"))
        .map(|line| line.splitn(4, |byte| *byte == b':').collect::<Vec<_>>())
        .filter(|fields| fields.len() >= 3)
        .peekable();
    fields.peek().is_some() && fields.all(|fields| fields[1].is_empty())
}

/// Whether a path survives BusyBox's splitting of a command, which knows no quotes.
pub(super) fn fits_inittab(file: &Slot) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
    file.as_str().chars().all(fits)
}

/// Our entries among the lines.
pub(super) fn entries(table: Table, text: &[u8], ours: &[Slot]) -> Vec<BootEntry> {
    text.split(|byte| *byte == b'\n')
        .filter_map(|line| entry(table, line, ours))
        .collect()
}

/// The line of an entry, without its end.
pub(super) fn line(table: Table, entry: &BootEntry, swapon: &str) -> Vec<u8> {
    let file = &entry.file;
    match (table, entry.priority) {
        (Table::Fstab, None) => {
            format!(
                "{} none swap sw,nofail,x-kinglet 0 0",
                escape(file.as_str())
            )
        }
        (Table::Fstab, Some(priority)) => format!(
            "{} none swap sw,pri={priority},nofail,x-kinglet 0 0",
            escape(file.as_str())
        ),
        // BusyBox's swapon knows -p only where it was built so, and fails else.
        (Table::Inittab, _) => format!("::sysinit:{swapon} {file}"),
    }
    .into_bytes()
}

/// The text with `new` as its only entry of ours: in place of the first one, else at the end.
///
/// A file whose last line has no end keeps it so: our line then has none either, and takes the one
/// before it along when it goes. So adding and removing leaves every other byte as it was.
pub(super) fn edit(table: Table, text: &[u8], ours: &[Slot], new: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 128);
    let mut new = new;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let (body, end) = match line.strip_suffix(b"\n") {
            Some(body) => (body, b"\n".as_slice()),
            None => (line, b"".as_slice()),
        };
        if entry(table, body, ours).is_none() {
            out.extend_from_slice(line);
        } else if let Some(new) = new.take() {
            out.extend_from_slice(new);
            out.extend_from_slice(end);
        } else if end.is_empty() && out.ends_with(b"\n") {
            out.pop();
        }
    }
    if let Some(new) = new {
        append(&mut out, new);
    }
    out
}

fn append(out: &mut Vec<u8>, line: &[u8]) {
    let unended = out.last().is_some_and(|byte| *byte != b'\n');
    if unended {
        out.push(b'\n');
    }
    out.extend_from_slice(line);
    if !unended {
        out.push(b'\n');
    }
}

fn entry(table: Table, line: &[u8], ours: &[Slot]) -> Option<BootEntry> {
    let text = std::str::from_utf8(line).ok()?;
    match table {
        Table::Fstab => fstab_entry(text, ours),
        Table::Inittab => inittab_entry(text, ours),
    }
}

fn fstab_entry(line: &str, ours: &[Slot]) -> Option<BootEntry> {
    let fields: Vec<&str> = line
        .split([' ', '\t'])
        .filter(|field| !field.is_empty())
        .collect();
    let path = unescape(fields.first()?);
    let file = ours.iter().find(|slot| slot.as_str().as_bytes() == path)?;
    if *fields.get(2)? != "swap" {
        return None;
    }
    let mut options = fields.get(3).copied().unwrap_or_default().split(',');
    Some(BootEntry {
        file: file.clone(),
        priority: options.find_map(|option| option.strip_prefix("pri=")?.parse().ok()),
    })
}

fn inittab_entry(line: &str, ours: &[Slot]) -> Option<BootEntry> {
    if line.starts_with('#') {
        return None;
    }
    let command = line.splitn(4, ':').nth(3)?;
    let words: Vec<&str> = command.split_ascii_whitespace().collect();
    let program = words.first()?.rsplit('/').next()?;
    let file = ours
        .iter()
        .find(|slot| words.last() == Some(&slot.as_str()))?;
    if program != "swapon" {
        return None;
    }
    let flag = words.iter().position(|word| *word == "-p");
    Some(BootEntry {
        file: file.clone(),
        priority: flag.and_then(|at| words.get(at + 1)?.parse().ok()),
    })
}

/// A field of `fstab`: what would end it becomes octal.
fn escape(path: &str) -> String {
    path.replace('\\', "\\134")
        .replace(' ', "\\040")
        .replace('\t', "\\011")
        .replace('#', "\\043")
}
