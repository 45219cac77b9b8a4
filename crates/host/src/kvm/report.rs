//! What the probe's child tells its parent: JSON lines, `{"step":…}` before each step so that a step
//! that hangs is named, and one `{"outcome":…}` at the end. Read strictly: anything else is no answer.

use std::fmt;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};

/// Instructions a second below which a guest is emulated, not run. Emulation in the kernel does about
/// two million, a CPU thousands of millions, and a CPU that is itself emulated by QEMU some tens.
pub const SLOWEST_USABLE: u64 = 10_000_000;

/// What the guest is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Enter the guest in long mode.
    LongMode,
    /// A 16-byte compare and exchange.
    Cmpxchg16b,
    /// Setting XCR0, saving and restoring extended state.
    Xsave,
    /// A breakpoint exception and the return from it.
    Int3,
    /// A loop of arithmetic and memory writes.
    Loop,
}

impl Step {
    /// Every step with the number that the guest writes before it.
    pub const ALL: [Self; 5] = [
        Self::LongMode,
        Self::Cmpxchg16b,
        Self::Xsave,
        Self::Int3,
        Self::Loop,
    ];

    /// The step that the guest means.
    pub fn numbered(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LongMode => "the first instruction in long mode",
            Self::Cmpxchg16b => "CMPXCHG16B",
            Self::Xsave => "XSAVE and XRSTOR",
            Self::Int3 => "INT3 and IRETQ",
            Self::Loop => "a loop of memory writes",
        })
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// There is no `/dev/kvm`.
    Absent,
    /// It may not be opened.
    NotPermitted,
    /// The guest did not run to its end, or computed something wrong.
    Cannot {
        /// What happened.
        why: String,
    },
    /// The guest ran to its end.
    Ran {
        /// Its instructions per second of CPU time.
        rate: u64,
    },
}

/// One line of the report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Line {
    /// This step begins.
    Step(Step),
    /// The end.
    Outcome(Outcome),
}

/// What a whole report says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The last step that began.
    pub step: Option<Step>,
    /// What came of it, where the child got so far.
    pub outcome: Option<Outcome>,
}

/// Writes a line to standard output at once.
pub fn say(line: &Line) -> io::Result<()> {
    let mut text = serde_json::to_string(line)?;
    text.push('\n');
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Reads a report. `None` where a line is not one of ours, is cut off, or follows the outcome.
pub fn parse(bytes: &[u8]) -> Option<Report> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut report = Report::default();
    for line in text.split_inclusive('\n') {
        if report.outcome.is_some() {
            return None;
        }
        match serde_json::from_str(line.strip_suffix('\n')?).ok()? {
            Line::Step(step) => report.step = Some(step),
            Line::Outcome(outcome) => report.outcome = Some(outcome),
        }
    }
    Some(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn report_round_trips() {
        let lines = [
            Line::Step(Step::Cmpxchg16b),
            Line::Step(Step::Loop),
            Line::Outcome(Outcome::Ran { rate: 9 }),
        ];
        let text: String = lines
            .iter()
            .map(|line| serde_json::to_string(line).unwrap() + "\n")
            .collect();
        assert_eq!(
            parse(text.as_bytes()).unwrap(),
            Report {
                step: Some(Step::Loop),
                outcome: Some(Outcome::Ran { rate: 9 })
            }
        );
    }

    #[test]
    fn report_is_read_strictly() {
        assert_eq!(parse(b""), Some(Report::default()));
        for text in [
            "usable\n",
            "{\"step\":\"loop\"}",
            "{\"step\":\"nap\"}\n",
            "{\"outcome\":{\"kind\":\"absent\"}}\n{\"step\":\"loop\"}\n",
            "{\"outcome\":{\"kind\":\"ran\"}}\n",
            "{\"outcome\":{\"kind\":\"ran\",\"rate\":-1}}\n",
            "\n",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse(b"\xff\n"), None);
    }
}
