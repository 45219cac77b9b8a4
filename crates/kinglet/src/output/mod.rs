//! What a person or a program reads: results on standard output, everything else on standard error.

pub mod fields;
pub mod progress;
pub mod table;
pub mod time;

use std::io::{self, IsTerminal, Write};

use anstream::{AutoStream, ColorChoice};
use anstyle::AnsiColor;
use serde::Serialize;

use crate::cli::{ColorWhen, Global};
use crate::failure::{Failure, Outcome};

/// How this run prints.
#[derive(Debug, Clone)]
pub struct Output {
    json: bool,
    quiet: bool,
    color: ColorChoice,
}

/// What a word stands for, and so which colour it has in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// As it should be.
    Good,
    /// Under way.
    Busy,
    /// To be looked at.
    Bad,
    /// Nothing special.
    Plain,
}

impl Output {
    /// As the flags and the environment say.
    pub fn new(global: &Global) -> Self {
        let color = match global.color {
            ColorWhen::Auto => ColorChoice::Auto,
            ColorWhen::Always => ColorChoice::AlwaysAnsi,
            ColorWhen::Never => ColorChoice::Never,
        };
        Self {
            json: global.json,
            quiet: global.quiet,
            color,
        }
    }

    /// Whether programs read it.
    pub const fn is_json(&self) -> bool {
        self.json
    }

    /// Whether a person looks at standard error.
    pub fn is_watched(&self) -> bool {
        io::stderr().is_terminal()
    }

    /// Whether progress is shown: only to a person who looks.
    pub fn shows_progress(&self) -> bool {
        !self.quiet && self.is_watched()
    }

    /// Prints a result: as JSON when asked so, else as `text` makes it.
    pub fn result<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) -> Outcome {
        if self.json {
            return self.json(value);
        }
        self.print(&text())
    }

    /// Prints one JSON value.
    pub fn json<T: Serialize>(&self, value: &T) -> Outcome {
        let mut text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::failed(format!("cannot write JSON ({error})")))?;
        text.push('\n');
        self.print(&text)
    }

    /// Prints one JSON value on one line, at once: a stream.
    pub fn json_line<T: Serialize>(&self, value: &T) -> Outcome {
        let mut text = serde_json::to_string(value)
            .map_err(|error| Failure::failed(format!("cannot write JSON ({error})")))?;
        text.push('\n');
        self.print(&text)
    }

    /// Prints text for a person to standard output. A reader that went away is no failure.
    pub fn print(&self, text: &str) -> Outcome {
        let mut stream = AutoStream::new(io::stdout(), self.color);
        let written = stream
            .write_all(text.as_bytes())
            .and_then(|()| stream.flush());
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
            Err(error) => Err(Failure::failed(format!("cannot print ({error})"))),
            Ok(()) => Ok(()),
        }
    }

    /// Says something beside the result, unless `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// Says why it failed and what is possible instead.
    pub fn failure(&self, failure: &Failure) {
        let red = AnsiColor::Red.on_default().bold();
        self.say(&format!("{red}kinglet:{red:#} {failure}"));
        if !failure.actions().is_empty() {
            self.note(&format!("possible now: {}", failure.actions().join(", ")));
        }
    }

    fn say(&self, text: &str) {
        let mut stream = AutoStream::new(io::stderr(), self.color);
        // There is nobody left to tell when standard error is gone.
        let _ = writeln!(stream, "{text}");
    }
}
