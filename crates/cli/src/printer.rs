//! The one place that writes to standard output and standard error: data to the one, all else to the other.

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};

use miette::{GraphicalReportHandler, GraphicalTheme};

use crate::exit::Exit;
use crate::failure::{Cause, Failure, chain};

/// Writes what a command has to say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    quiet: bool,
    /// Whether standard error is a terminal: progress moves there, and reports have colour.
    terminal: bool,
}

impl Printer {
    pub(crate) fn new(quiet: bool) -> Self {
        Self { quiet, terminal: io::stderr().is_terminal() }
    }

    /// Whether progress may move on the screen.
    pub(crate) fn shows_progress(self) -> bool {
        self.terminal && !self.quiet
    }

    /// Data, on standard output.
    #[expect(clippy::unused_self, reason = "who has no printer must not print")]
    pub(crate) fn data(self, text: impl fmt::Display) {
        // A reader that has gone away (`| head`) is no failure of ours.
        let _ = writeln!(io::stdout().lock(), "{text}");
    }

    /// News, on standard error; nothing when quiet.
    pub(crate) fn say(self, text: impl fmt::Display) {
        if !self.quiet {
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }

    /// A warning, on standard error, also when quiet.
    #[expect(clippy::unused_self, reason = "who has no printer must not print")]
    pub(crate) fn warn(self, text: impl fmt::Display) {
        let _ = writeln!(io::stderr().lock(), "warning: {text}");
    }

    /// A failure, on standard error, also when quiet; returns how the command ends.
    pub(crate) fn fail(self, failure: &Failure) -> Exit {
        let mut stderr = io::stderr().lock();
        let _ = match &failure.cause {
            Cause::Error(error) => writeln!(stderr, "error: failed to {}", chain(error)),
            Cause::File(error) => write!(stderr, "{}", self.report(error.as_ref())),
        };
        if let Some(hint) = &failure.hint {
            let _ = writeln!(stderr, "hint: {hint}");
        }
        failure.exit
    }

    fn report(self, error: &dyn miette::Diagnostic) -> String {
        let theme = if self.terminal { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let mut text = String::new();
        // Writing to a `String` cannot fail.
        let _ = GraphicalReportHandler::new_themed(theme)
            .with_links(false)
            .with_width(REPORT_WIDTH)
            .render_report(&mut text, error);
        text
    }
}

const REPORT_WIDTH: usize = 100;
