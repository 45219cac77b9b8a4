//! Pressure stall information: `/proc/pressure/memory` and a cgroup's `memory.pressure`
//! (Documentation/accounting/psi.rst).

/// A line of a pressure file: shares of time, in percent, in which tasks waited.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PsiLine {
    /// Over the last 10 s.
    pub avg10: f32,
    /// Over the last minute.
    pub avg60: f32,
    /// Over the last 5 minutes.
    pub avg300: f32,
    /// Microseconds waited since boot.
    pub total_us: u64,
}

/// A pressure file.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Psi {
    /// Some task waited.
    pub some: PsiLine,
    /// All tasks waited. Absent in kernels that do not count it here.
    pub full: Option<PsiLine>,
}

/// Reads a pressure file. `None` where it has no whole `some` line.
#[must_use]
pub fn psi(text: &str) -> Option<Psi> {
    Some(Psi {
        some: line(text, "some ")?,
        full: line(text, "full "),
    })
}

fn line(text: &str, name: &str) -> Option<PsiLine> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(PsiLine {
        avg10: share(member(rest, "avg10=")?)?,
        avg60: share(member(rest, "avg60=")?)?,
        avg300: share(member(rest, "avg300=")?)?,
        total_us: member(rest, "total=")?.parse().ok()?,
    })
}

fn member<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split_ascii_whitespace()
        .find_map(|word| word.strip_prefix(name))
}

fn share(word: &str) -> Option<f32> {
    word.parse()
        .ok()
        .filter(|share: &f32| (0.0..=100.0).contains(share))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn psi_reads_both_lines() {
        let text = "some avg10=1.25 avg60=0.50 avg300=4.06 total=341589044\n\
                    full avg10=0.00 avg60=0.00 avg300=0.44 total=37104127\n";
        let psi = psi(text).unwrap();
        assert_eq!(psi.some.avg10, 1.25);
        assert_eq!(psi.some.total_us, 341_589_044);
        assert_eq!(psi.full.unwrap().avg300, 0.44);
    }

    #[test]
    fn psi_of_malformed_text_is_absent() {
        for text in [
            "",
            "some",
            "some avg10=1 avg60=1 avg300=1",
            "some avg10=NaN avg60=1 avg300=1 total=1",
            "some avg10=101 avg60=1 avg300=1 total=1",
            "some avg10=1 avg60=1 avg300=1 total=-1",
            "full avg10=1 avg60=1 avg300=1 total=1",
        ] {
            assert_eq!(psi(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn psi_never_panics(text in "(some|full|avg10=|total=|[0-9. \n-]){0,40}") {
            let _ = psi(&text);
        }
    }
}
