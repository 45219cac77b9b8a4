//! Names that programs give to a file while it is on its way, and the name it will have.

/// Endings that mean "not finished": WinSCP, wget and browsers, Chromium, Safari, Kinglet.
const ENDINGS: [&[u8]; 9] = [
    b".filepart",
    b".partial",
    b".part",
    b".crdownload",
    b".download",
    b".opdownload",
    b".tmp",
    b".kinglet-tmp",
    b".!qb",
];

/// Endings of editors' backup files, which will never be images.
const BACKUPS: [&[u8]; 3] = [b"~", b".bak", b".swp"];

/// What a file's name says about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Naming<'a> {
    /// An ordinary name.
    Plain,
    /// A temporary one; the file will be called so when it is complete.
    Temporary(&'a [u8]),
    /// None of our business: hidden, or an editor's backup.
    Ignored,
}

/// Reads a file's name.
pub(crate) fn naming(name: &[u8]) -> Naming<'_> {
    if let Some(last) = rsync_target(name) {
        return Naming::Temporary(last);
    }
    if name.first() == Some(&b'.') || BACKUPS.iter().any(|ending| ends_with(name, ending)) {
        return Naming::Ignored;
    }
    match ENDINGS.iter().find(|ending| ends_with(name, ending)) {
        Some(ending) => Naming::Temporary(&name[..name.len() - ending.len()]),
        None => Naming::Plain,
    }
}

/// rsync: `.NAME.XXXXXX`, six letters or digits (mkstemp).
fn rsync_target(name: &[u8]) -> Option<&[u8]> {
    let inner = name.strip_prefix(b".")?;
    let dot = inner.len().checked_sub(7)?;
    let random = inner.get(dot + 1..)?;
    let is_temporary =
        dot > 0 && inner[dot] == b'.' && random.iter().all(u8::is_ascii_alphanumeric);
    // `.debian.qcow2` would read as the target `debian` with a token of six: a hidden image.
    let target = &inner[..dot];
    (is_temporary && (target.contains(&b'.') || !random.iter().all(u8::is_ascii_lowercase)))
        .then_some(target)
}

/// Whether the name ends so, in any case, with something before it.
fn ends_with(name: &[u8], ending: &[u8]) -> bool {
    name.len() > ending.len() && name[name.len() - ending.len()..].eq_ignore_ascii_case(ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_names_of_known_programs_are_read() {
        let cases: [(&str, Naming<'_>); 14] = [
            ("debian-12.qcow2", Naming::Plain),
            (
                ".debian-12.qcow2.Ab3xYz",
                Naming::Temporary(b"debian-12.qcow2"),
            ),
            (".debian.iso.abcdef", Naming::Temporary(b"debian.iso")),
            (".vm.Ab3xYz", Naming::Temporary(b"vm")),
            (".hidden.qcow2", Naming::Ignored),
            (".cache1", Naming::Ignored),
            ("win.iso.filepart", Naming::Temporary(b"win.iso")),
            ("win.iso.part", Naming::Temporary(b"win.iso")),
            ("win.iso.PARTIAL", Naming::Temporary(b"win.iso")),
            (
                "Unconfirmed 12345.crdownload",
                Naming::Temporary(b"Unconfirmed 12345"),
            ),
            ("a.img.download", Naming::Temporary(b"a.img")),
            ("notes.qcow2~", Naming::Ignored),
            (".part", Naming::Ignored),
            ("part", Naming::Plain),
        ];
        for (name, expected) in cases {
            assert_eq!(naming(name.as_bytes()), expected, "{name}");
        }
    }
}
