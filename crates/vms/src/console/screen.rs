//! Where a terminal that begins in the middle should begin.

/// Sequences after which the screen is empty: full reset, erase all, erase with scrollback, erase
/// from the top (ECMA-48, xterm).
const CLEARS: [&[u8]; 5] = [
    b"\x1bc",
    b"\x1b[2J",
    b"\x1b[3J",
    b"\x1b[H\x1b[J",
    b"\x1b[H\x1b[0J",
];

/// The index from which `bytes`, the end of a log, give the last screen. `whole`: nothing came before
/// them, so that their first byte is the start of a line.
pub(super) fn begin(bytes: &[u8], whole: bool) -> usize {
    let cleared = CLEARS.iter().filter_map(|clear| rfind(bytes, clear)).max();
    match cleared {
        Some(at) => at,
        None if whole => 0,
        None => bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1),
    }
}

fn rfind(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .rposition(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn screen_begins_at_the_last_clear_else_at_a_line() {
        assert_eq!(begin(b"old\x1b[2Jmenu\x1bcnew", false), 11);
        assert_eq!(begin(b"half a line\nwhole\n", false), 12);
        assert_eq!(begin(b"first\nsecond", true), 0);
        assert_eq!(begin(b"no line at all", false), 0);
        assert_eq!(begin(b"", false), 0);
    }
}
