//! Lists of SHA-256 digests that people put beside images: `SHA256SUMS` in GNU and BSD style, and
//! `NAME.sha256` with or without a name inside.

use std::collections::HashMap;

use kinglet_model::Digest;

/// The largest list that is read, in bytes.
pub(crate) const MAX_BYTES: u64 = 4 << 20;

/// Whole names of lists, in any case.
const LISTS: [&str; 7] = [
    "sha256sums",
    "sha256sum",
    "sha256sums.txt",
    "sha256sum.txt",
    "sha256",
    "checksum",
    "checksums.txt",
];

/// Endings of a list about one file, or of a distribution's list (`Fedora-40-CHECKSUM`).
const ENDINGS: [&str; 4] = [".sha256", ".sha256sum", "-checksum", ".sha256.txt"];

/// Whether a file of this name holds digests.
pub(crate) fn is_sums_file(name: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(name) else {
        return false;
    };
    let lower = text.to_ascii_lowercase();
    LISTS.contains(&lower.as_str()) || ENDINGS.iter().any(|ending| lower.ends_with(ending))
}

/// The digests in one list, by file name.
pub(crate) fn parse(list_name: &[u8], text: &[u8]) -> HashMap<Box<[u8]>, Digest> {
    let own = subject(list_name);
    text.split(|byte| matches!(byte, b'\n' | b'\r'))
        .filter_map(|line| parse_line(line, own))
        .collect()
}

/// The file that a list such as `NAME.sha256` is about.
fn subject(list_name: &[u8]) -> Option<&[u8]> {
    [b".sha256.txt".as_slice(), b".sha256sum", b".sha256"]
        .iter()
        .find_map(|ending| {
            let split = list_name.len().checked_sub(ending.len())?;
            let (stem, rest) = list_name.split_at(split);
            (rest.eq_ignore_ascii_case(ending) && !stem.is_empty()).then_some(stem)
        })
}

fn parse_line(line: &[u8], own: Option<&[u8]>) -> Option<(Box<[u8]>, Digest)> {
    let line = line.trim_ascii();
    bsd(line).or_else(|| gnu(line)).or_else(|| {
        let digest = digest(line)?;
        Some((Box::from(own?), digest))
    })
}

/// `SHA256 (NAME) = DIGEST`.
fn bsd(line: &[u8]) -> Option<(Box<[u8]>, Digest)> {
    let rest = line
        .strip_prefix(b"SHA256")?
        .trim_ascii_start()
        .strip_prefix(b"(")?;
    let close = rest.iter().rposition(|byte| *byte == b')')?;
    let value = rest[close + 1..].trim_ascii_start().strip_prefix(b"=")?;
    Some((file_name(&rest[..close])?, digest(value.trim_ascii())?))
}

/// `DIGEST  NAME` or `DIGEST *NAME`; a backslash in front says that the name is escaped.
fn gnu(line: &[u8]) -> Option<(Box<[u8]>, Digest)> {
    let (escaped, line) = match line.strip_prefix(b"\\") {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let (value, rest) = line.split_at_checked(64)?;
    let digest = digest(value)?;
    let name = rest
        .strip_prefix(b" ")
        .or_else(|| rest.strip_prefix(b"\t"))?;
    let name = name.strip_prefix(b"*").unwrap_or(name).trim_ascii_start();
    if escaped {
        return Some((file_name(&unescape(name))?, digest));
    }
    Some((file_name(name)?, digest))
}

/// Only files beside the list count: `./NAME` is one, `other/NAME` is not.
fn file_name(name: &[u8]) -> Option<Box<[u8]>> {
    let name = name.strip_prefix(b"./").unwrap_or(name);
    (!name.is_empty() && !name.contains(&b'/')).then(|| Box::from(name))
}

/// `\\`, `\n` and `\r`, as sha256sum writes them.
fn unescape(name: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len());
    let mut bytes = name.iter();
    while let Some(&byte) = bytes.next() {
        out.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(other) => *other,
                None => b'\\',
            },
            other => other,
        });
    }
    out
}

fn digest(text: &[u8]) -> Option<Digest> {
    (text.len() == 64).then_some(())?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const B: &str = "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b";

    fn find(list: &str, text: &str, name: &str) -> Option<String> {
        parse(list.as_bytes(), text.as_bytes())
            .get(name.as_bytes())
            .map(ToString::to_string)
    }

    #[test]
    fn lists_in_every_style_are_read() {
        let gnu = format!("# comment\n{A}  a.iso\r\n{B} *./b c.iso\n{A}  sub/d.iso\nnonsense\n");
        assert_eq!(find("SHA256SUMS", &gnu, "a.iso").unwrap(), A);
        assert_eq!(find("SHA256SUMS", &gnu, "b c.iso").unwrap(), B);
        assert_eq!(find("SHA256SUMS", &gnu, "sub/d.iso"), None);
        assert_eq!(find("SHA256SUMS", &gnu, "d.iso"), None);
        let bsd = format!(
            "# f.qcow2: 12 bytes\nSHA256 (f (1).qcow2) = {}\nSHA512 (g) = {A}",
            B.to_uppercase()
        );
        assert_eq!(find("Fedora-CHECKSUM", &bsd, "f (1).qcow2").unwrap(), B);
        assert_eq!(find("Fedora-CHECKSUM", &bsd, "g"), None);
        assert_eq!(find("a.iso.sha256", &format!("{A}\n"), "a.iso").unwrap(), A);
        assert_eq!(
            find("a.iso.sha256sum", &format!("{B}  a.iso\n"), "a.iso").unwrap(),
            B
        );
        assert_eq!(find("SHA256SUMS", &format!("{A}\n"), "a.iso"), None);
        assert_eq!(
            find("SHA256SUMS", &format!("\\{A}  a\\\\b\\n\n"), "a\\b\n").unwrap(),
            A
        );
        assert_eq!(find("SHA256SUMS", &A[..63], "a"), None);
    }

    #[test]
    fn a_list_is_told_by_its_name() {
        for name in [
            "SHA256SUMS",
            "sha256sum.txt",
            "a.iso.sha256",
            "Fedora-40-x86_64-CHECKSUM",
        ] {
            assert!(is_sums_file(name.as_bytes()), "{name}");
        }
        for name in ["sha512sums", "a.iso", "sums"] {
            assert!(!is_sums_file(name.as_bytes()), "{name}");
        }
    }

    proptest! {
        #[test]
        fn parser_is_total(name: Vec<u8>, text: Vec<u8>) { parse(&name, &text); }
    }
}
