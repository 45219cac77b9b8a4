//! Times as people say them.

use jiff::Timestamp;

const UNITS: [(i64, &str, &str); 5] = [
    (365 * 24 * 3600, "year", "years"),
    (30 * 24 * 3600, "month", "months"),
    (24 * 3600, "day", "days"),
    (3600, "hour", "hours"),
    (60, "minute", "minutes"),
];

/// How long ago `then` was: `3 minutes ago`. Clocks of two machines may differ, so what seems to lie
/// in the future is `just now`.
pub fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(then.as_second());
    UNITS
        .iter()
        .find(|(length, _, _)| seconds >= *length)
        .map_or_else(
            || "just now".to_owned(),
            |(length, one, many)| {
                let count = seconds / length;
                format!("{count} {} ago", if count == 1 { one } else { many })
            },
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ago_uses_the_largest_unit() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        let now = 1_700_000_000;
        for (seconds, text) in [
            (-100, "just now"),
            (0, "just now"),
            (59, "just now"),
            (60, "1 minute ago"),
            (7200, "2 hours ago"),
            (90_000, "1 day ago"),
            (40 * 86_400, "1 month ago"),
            (800 * 86_400, "2 years ago"),
        ] {
            assert_eq!(ago(at(now - seconds), at(now)), text, "{seconds}");
        }
    }
}
