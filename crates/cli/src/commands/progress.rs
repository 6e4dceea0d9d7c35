//! What is shown while a stack starts: a line that moves on a terminal, nothing elsewhere but what takes long.

use std::time::Duration;

use harness::stack::{Progress, Step};
use indicatif::{ProgressBar, ProgressStyle};

use crate::printer::Printer;

/// The line on the screen. It goes away when this is dropped.
pub(crate) struct Shown {
    bar: Option<ProgressBar>,
}

impl Shown {
    /// Where a start reports to.
    pub(crate) fn new(printer: Printer) -> (Self, Progress) {
        if !printer.shows_progress() {
            let progress = Progress::new(move |step| {
                // The one step that can take minutes; somebody who reads a log should know.
                if let Step::PullImage { .. } = step {
                    printer.say(step);
                }
            });
            return (Self { bar: None }, progress);
        }
        let bar = ProgressBar::new_spinner().with_style(style());
        bar.enable_steady_tick(Duration::from_millis(80));
        let shown = bar.clone();
        (Self { bar: Some(bar) }, Progress::new(move |step| shown.set_message(step.to_string())))
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    // The default shows the same with other spacing.
    ProgressStyle::with_template("{spinner} {msg} ({elapsed})").unwrap_or_else(|_| ProgressStyle::default_spinner())
}
