//! Progress for a person who waits: a bar on the terminal, nothing anywhere else.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kinglet_model::Progress;

use super::Output;

const BYTES: &str =
    "{msg} [{bar:30}] {binary_bytes} of {binary_total_bytes}, {binary_bytes_per_sec}, {eta} left";
const STEPS: &str = "{msg} [{bar:30}] {pos} of {len}";
const SPINNER: &str = "{spinner} {msg}";

/// A line that moves while something is waited for, and is gone afterwards.
#[derive(Debug)]
pub struct Waiting {
    bar: ProgressBar,
}

impl Waiting {
    /// Begins to wait for something, named by `what`.
    pub fn new(out: &Output, what: &str) -> Self {
        let bar = if out.shows_progress() {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
        } else {
            ProgressBar::hidden()
        };
        bar.set_style(style(SPINNER));
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar }
    }

    /// Shows what is being waited for now, and how many bytes of it are done where that is known.
    pub fn show_bytes(&self, what: &str, progress: Option<&Progress>) {
        self.show(what, progress, BYTES);
    }

    /// Shows what is being waited for now, and how many steps of it are done where that is known.
    pub fn show_steps(&self, what: &str, progress: Option<&Progress>) {
        self.show(what, progress, STEPS);
    }

    /// Shows how many bytes of `total` are done, whenever the function that it gives is called, on any
    /// thread.
    pub fn counting(&self, what: &str, done: u64, total: u64) -> impl Fn(u64) + Send + 'static {
        let bar = self.bar.clone();
        bar.set_style(style(BYTES));
        bar.set_message(what.to_owned());
        bar.set_length(total);
        bar.set_position(done);
        // What was done before says nothing about the rate.
        bar.reset_eta();
        move |done| bar.set_position(done)
    }

    fn show(&self, what: &str, progress: Option<&Progress>, bar: &str) {
        self.bar.set_message(what.to_owned());
        match progress.and_then(|progress| Some((progress.done, progress.total?))) {
            Some((done, total)) => {
                self.bar.set_style(style(bar));
                self.bar.set_length(total);
                self.bar.set_position(done);
            }
            None => self.bar.set_style(style(SPINNER)),
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("█▌░")
}

/// How far it is, in a few words: `45 %`, `12 MiB`.
pub fn brief(progress: &Progress) -> String {
    match progress.total {
        Some(total) if total > 0 => {
            let percent = u128::from(progress.done) * 100 / u128::from(total);
            format!("{} %", percent.min(100))
        }
        _ => kinglet_model::Size(progress.done).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brief_progress_never_exceeds_all() {
        let at = |done, total| {
            brief(&Progress {
                task: "hashing".to_owned(),
                done,
                total,
                rate: None,
            })
        };
        assert_eq!(at(45, Some(100)), "45 %");
        assert_eq!(at(u64::MAX, Some(1)), "100 %");
        assert_eq!(at(0, Some(0)), "0 B");
        assert_eq!(at(12 << 20, None), "12 MiB");
    }
}
