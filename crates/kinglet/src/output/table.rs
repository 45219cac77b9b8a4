//! Tables that fit the terminal: columns stand on spaces, long cells wrap.

use std::io::{self, IsTerminal};

use comfy_table::{ContentArrangement, Table as Inner, presets};

use super::Tone;

/// A table under construction.
#[derive(Debug)]
pub struct Table {
    inner: Inner,
}

/// One cell.
#[derive(Debug, Clone)]
pub struct Cell {
    text: String,
    tone: Tone,
}

impl Cell {
    /// A plain cell.
    pub fn new(text: impl Into<String>) -> Self {
        Self::toned(Tone::Plain, text)
    }

    /// A coloured cell.
    pub fn toned(tone: Tone, text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            tone,
        }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

impl Table {
    /// A table with these headings, as wide as the terminal; unlimited where there is none.
    pub fn new(headings: &[&str]) -> Self {
        Self::within(headings, terminal_width())
    }

    fn within(headings: &[&str], width: Option<u16>) -> Self {
        let mut inner = Inner::new();
        inner
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(headings.iter().copied());
        inner.enforce_styling();
        inner.style_text_only();
        match width {
            Some(width) => {
                inner.set_width(width);
            }
            None => {
                inner.set_content_arrangement(ContentArrangement::Disabled);
            }
        }
        Self { inner }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.inner.add_row(cells.into_iter().map(|cell| {
            let inner = comfy_table::Cell::new(cell.text);
            match cell.tone {
                Tone::Good => inner.fg(comfy_table::Color::Green),
                Tone::Busy => inner.fg(comfy_table::Color::Yellow),
                Tone::Bad => inner.fg(comfy_table::Color::Red),
                Tone::Plain => inner,
            }
        }));
    }

    /// The text, a line each.
    pub fn render(mut self) -> String {
        for column in self.inner.column_iter_mut() {
            column.set_padding((0, 2));
        }
        let mut text = String::new();
        for line in self.inner.lines() {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

fn terminal_width() -> Option<u16> {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return None;
    }
    rustix::termios::tcgetwinsize(&stdout)
        .ok()
        .map(|size| size.ws_col)
        .filter(|columns| *columns >= 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(width: Option<u16>) -> String {
        let mut table = Table::within(&["NAME", "PHASE", "REASON"], width);
        table.row(["debian-12".into(), "ready".into(), "-".into()]);
        table.row([
            "cut".into(),
            "damaged".into(),
            "the file ends before the last cluster that its tables name".into(),
        ]);
        table.render()
    }

    #[test]
    fn a_table_without_a_terminal_has_whole_lines() {
        insta::assert_snapshot!(sample(None));
    }

    #[test]
    fn a_table_fits_the_terminal() {
        let text = sample(Some(50));
        assert!(text.lines().all(|line| line.chars().count() <= 50));
        insta::assert_snapshot!(text);
    }
}
