//! What is wrong with an image, in words for a person: a reason (one clause that can follow "it is
//! damaged:") and what to do about it.

use super::Wholeness;

/// A reason and a remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Damage {
    pub(crate) reason: String,
    pub(crate) remedy: String,
}

const COPY_AGAIN: &str = "copy it again";

impl Damage {
    /// The bytes contradict themselves; the copy is likely bad.
    pub(crate) fn broken(reason: impl Into<String>) -> Self {
        Self::new(reason, COPY_AGAIN)
    }

    pub(crate) fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }

    /// The file ends before what its structures need. `exactly`: whether `needed` is its full size.
    pub(crate) fn cut_short(has: u64, needed: u64, exactly: bool) -> Self {
        let at_least = if exactly { "" } else { "at least " };
        Self::broken(format!(
            "cut short: it has {has} of {at_least}{needed} bytes"
        ))
    }

    /// The image names another file, which this host does not open.
    pub(crate) fn refers_to(names: &[String]) -> Self {
        const SHOWN: usize = 4;
        let more = match names.len().saturating_sub(SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let shown = names[..names.len().min(SHOWN)].join(", ");
        let kind = if names.len() == 1 {
            "another file"
        } else {
            "other files"
        };
        Self::new(
            format!("refers to {kind}: {shown}{more}"),
            "flatten it first, where those files are: qemu-img convert -O qcow2 OLD NEW",
        )
    }

    /// Something recognised that is not an image this host runs.
    pub(crate) fn not_an_image(what: &str, remedy: &str) -> Self {
        Self::new(format!("not a disk image: {what}"), remedy)
    }
}

impl From<Damage> for Wholeness {
    fn from(damage: Damage) -> Self {
        Self::Damaged {
            reason: damage.reason,
            remedy: damage.remedy,
        }
    }
}

/// A name found in an image, safe to show: control characters and bytes that are not UTF-8 escaped,
/// cut to a bounded length.
pub(crate) fn shown_name(bytes: &[u8]) -> String {
    const LONGEST: usize = 200;
    let mut shown = String::new();
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || is_bidi_control(c) {
                shown.extend(c.escape_unicode());
            } else {
                shown.push(c);
            }
        }
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    if shown.chars().count() > LONGEST {
        shown = shown.chars().take(LONGEST).collect();
        shown.push('…');
    }
    shown
}

/// Characters that change the direction of the text around them, and so what a person reads.
fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_name_hides_no_control_character_and_is_bounded() {
        assert_eq!(shown_name(b"/etc/passwd"), "/etc/passwd");
        assert_eq!(shown_name(b"a\x1b[2Jb\xff"), "a\\u{1b}[2Jb\\xff");
        assert_eq!(shown_name(&[b'x'; 5000]).chars().count(), 201);
        assert_eq!(shown_name("\u{202e}gpj".as_bytes()), "\\u{202e}gpj");
    }

    #[test]
    fn refers_to_names_few() {
        let names: Vec<String> = (0..9).map(|n| format!("f{n}")).collect();
        assert_eq!(
            Damage::refers_to(&names).reason,
            "refers to other files: f0, f1, f2, f3 and 5 more"
        );
    }
}
