//! Where a file lies within a watched folder: raw bytes, with a reversible form for people.

use std::ffi::OsStr;
use std::fmt::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// A path relative to a watched folder: parts of arbitrary bytes with `/` between, never `..`.
///
/// Shown as UTF-8, where every byte that is not (part of) a printable character, and the backslash
/// itself, is `\xNN`. So are characters that are not seen but change how others are (`fdp.exe` that
/// reads `exe.pdf`). The shown form can be read back without loss.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RelPath(Arc<[u8]>);

impl RelPath {
    /// The folder itself.
    pub(crate) fn root() -> Self {
        Self(Arc::from([].as_slice()))
    }

    /// The entry `name` in this directory. The name comes from the kernel: it has no `/`.
    pub(crate) fn child(&self, name: &[u8]) -> Self {
        if self.0.is_empty() {
            return Self(Arc::from(name));
        }
        Self(Arc::from([&self.0, b"/".as_slice(), name].concat()))
    }

    /// Reads the shown form. `None` for what can never be a path in a folder.
    pub(crate) fn parse(shown: &str) -> Option<Self> {
        let bytes = unescape(shown)?;
        let sound = |part: &[u8]| !matches!(part, b"" | b"." | b"..") && !part.contains(&0);
        bytes
            .split(|byte| *byte == b'/')
            .all(sound)
            .then(|| Self(Arc::from(bytes.as_slice())))
    }

    /// The path as the kernel wants it, relative to the folder.
    pub(crate) fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(if self.0.is_empty() {
            b"."
        } else {
            &self.0
        }))
    }

    /// The last part.
    pub(crate) fn file_name(&self) -> &[u8] {
        self.0.rsplit(|byte| *byte == b'/').next().unwrap_or(&[])
    }

    /// The directory it lies in.
    pub(crate) fn parent(&self) -> Self {
        match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => Self(Arc::from(&self.0[..slash])),
            None => Self::root(),
        }
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", shown(&self.0))
    }
}

/// Bytes of a file name as a person can read them.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '\\' || c.is_control() || is_unseen(c) {
                let mut buffer = [0; 4];
                escape(&mut out, c.encode_utf8(&mut buffer).as_bytes());
            } else {
                out.push(c);
            }
        }
        escape(&mut out, chunk.invalid());
    }
    out
}

/// Marks and overrides of direction, separators of lines, and what has no width (Unicode's
/// `Bidi_Control`, `Zl`, `Zp` and the zero-width ones of `Cf`). Not the joiners, with which Persian
/// and many emoji are written.
fn is_unseen(c: char) -> bool {
    matches!(
        c,
        '\u{61c}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
    )
}

fn escape(out: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing into a String cannot fail.
        let _ = write!(out, "\\x{byte:02x}");
    }
}

fn unescape(shown: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(shown.len());
    let mut rest = shown.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let digits = tail.strip_prefix(b"x")?.get(..2)?;
        let text = std::str::from_utf8(digits).ok()?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        out.push(u8::from_str_radix(text, 16).ok()?);
        rest = tail.get(3..)?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn path_shows_foreign_bytes_as_escapes() {
        let path = RelPath::root()
            .child(b"d\xff")
            .child(b"a\\x41\n\xc3\xa9.iso");
        assert_eq!(path.to_string(), "d\\xff/a\\x5cx41\\x0aé.iso");
        assert_eq!(path.parent(), RelPath::root().child(b"d\xff"));
    }

    #[test]
    fn path_shows_what_turns_or_hides_text_as_escapes() {
        let path = RelPath::root().child("a\u{202e}osi.exe\u{200b}".as_bytes());
        assert_eq!(path.to_string(), "a\\xe2\\x80\\xaeosi.exe\\xe2\\x80\\x8b");
        assert_eq!(RelPath::parse(&path.to_string()), Some(path));
    }

    #[test]
    fn path_that_leaves_the_folder_is_none() {
        for bad in [
            "",
            "/etc",
            "a//b",
            "../a",
            "a/..",
            "a/./b",
            "a\\x00",
            "a\\x2",
            "\\q",
            "a\\x2f..\\x2fb",
        ] {
            assert_eq!(RelPath::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn shown_form_reads_back(name in proptest::collection::vec(1u8..=255, 1..40)) {
            prop_assume!(!name.contains(&b'/') && name != b"." && name != b"..");
            let path = RelPath::root().child(b"sub").child(&name);
            prop_assert_eq!(RelPath::parse(&path.to_string()), Some(path));
        }

        #[test]
        fn parse_never_panics(text in ".{0,60}") { let _ = RelPath::parse(&text); }
    }
}
