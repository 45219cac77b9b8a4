//! One object for a person: a line for each thing that there is to say.

/// Lines of `label: text`, aligned.
#[derive(Debug, Default)]
pub struct Fields {
    lines: Vec<(String, String)>,
}

impl Fields {
    /// Adds a line.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "callers read better without `&`"
    )]
    pub fn add(&mut self, label: &str, text: impl ToString) -> &mut Self {
        self.lines.push((label.to_owned(), text.to_string()));
        self
    }

    /// Adds a line where there is something to say.
    pub fn add_some(&mut self, label: &str, text: Option<impl ToString>) -> &mut Self {
        if let Some(text) = text {
            self.add(label, text);
        }
        self
    }

    /// Adds a line for each, the label before the first only.
    pub fn add_each(
        &mut self,
        label: &str,
        texts: impl IntoIterator<Item = impl ToString>,
    ) -> &mut Self {
        for (index, text) in texts.into_iter().enumerate() {
            self.add(if index == 0 { label } else { "" }, text);
        }
        self
    }

    /// The text.
    pub fn render(&self) -> String {
        let width = self
            .lines
            .iter()
            .map(|(label, _)| label.chars().count())
            .max()
            .unwrap_or(0);
        self.lines
            .iter()
            .map(|(label, text)| {
                let label = if label.is_empty() {
                    String::new()
                } else {
                    format!("{label}:")
                };
                format!("{label:<0$}  {text}\n", width + 1)
            })
            .collect()
    }
}
