//! Stories on the screen: the runner's events as text, progress while something takes long, reports at the end.
//!
//! Shared by `run` and `tour`, which differ in which stories they replay and how much of them they tell.

use std::fmt;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use harness::stack::StackConfig;
use harness::story::event::{Event, Events, Happening};
use harness::story::report::{Depth, RunRecord, Terminal, json, junit};
use harness::story::runner::{Gate, GateKey, Options, RunError, Summary, run};
use harness::story::scenario::Scenario;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

use crate::exit::Exit;
use crate::failure::{Failure, sentence};
use crate::printer::Printer;
use crate::signals::interrupt;

/// What is replayed, and how.
pub(super) struct Replay {
    pub(super) stories: Vec<Scenario>,
    pub(super) stack: StackConfig,
    pub(super) depth: Depth,
    /// Wait for Enter before each step.
    pub(super) step: bool,
    /// Keep the stack of a failed story.
    pub(super) keep: bool,
    pub(super) reports: Vec<ReportTo>,
}

/// Where a report goes: `junit=FILE` or `json=FILE`.
#[derive(Clone, Debug)]
pub(crate) struct ReportTo {
    format: ReportFormat,
    path: PathBuf,
}

#[derive(Clone, Copy, Debug)]
enum ReportFormat {
    Json,
    Junit,
}

impl FromStr for ReportTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, path) = text.split_once('=').filter(|(_, path)| !path.is_empty()).unwrap_or((text, ""));
        let format = match format {
            "json" => ReportFormat::Json,
            "junit" => ReportFormat::Junit,
            _ => return Err("expected `junit=FILE` or `json=FILE`".to_owned()),
        };
        if path.is_empty() {
            return Err("expected a file after `=`".to_owned());
        }
        Ok(Self { format, path: path.into() })
    }
}

impl Replay {
    /// Replays the stories; passed if every one of them passed.
    pub(super) async fn run(self, printer: Printer) -> Result<Exit, Failure> {
        let interrupted = interrupt()?;
        let (gate, stepper) = if self.step { Stepper::new() } else { (None, None) };
        let options = Options { stack: self.stack, gate, keep: self.keep, interrupt: interrupted.clone() };
        let (events, mut stream) = Events::new();
        let mut screen = Screen::new(self.depth, stepper, printer);
        let showing = async {
            while let Some(event) = stream.recv().await {
                screen.show(&event);
                if matches!(event.what, Happening::StepStarted(_)) {
                    tokio::select! {
                        () = screen.ask() => {}
                        // Whoever presses Ctrl-C at the prompt does not answer it any more.
                        () = interrupted.cancelled() => {}
                    }
                }
            }
            screen.close()
        };
        let (outcome, record) = tokio::join!(Box::pin(run(&self.stories, options, events)), showing);
        for report in &self.reports {
            report.write(&record)?;
        }
        let summary = outcome.map_err(failure)?;
        let exit = exit_of(&summary);
        if let Some(kept) = summary.kept {
            printer.say("Ctrl-C ends it.");
            tokio::select! {
                () = interrupted.cancelled() => {}
                () = kept.ended() => {}
            }
            kept.stop().await;
        }
        Ok(exit)
    }
}

impl ReportTo {
    fn write(&self, record: &RunRecord) -> Result<(), Failure> {
        let text = match self.format {
            ReportFormat::Json => json(record).map_err(Failure::environment)?,
            ReportFormat::Junit => junit(record).map_err(Failure::environment)?,
        };
        std::fs::write(&self.path, text).map_err(|error| {
            Failure::environment(anyhow::Error::new(error).context(format!("write the report {}", self.path.display())))
        })
    }
}

/// The terminal with the transcript on it.
struct Screen {
    terminal: Terminal,
    record: RunRecord,
    bar: Option<ProgressBar>,
    stepper: Option<Stepper>,
    printer: Printer,
}

impl Screen {
    fn new(depth: Depth, stepper: Option<Stepper>, printer: Printer) -> Self {
        // A bar would write over the prompt.
        let bar = (printer.shows_progress() && stepper.is_none()).then(|| {
            let bar = ProgressBar::new_spinner().with_style(style());
            bar.enable_steady_tick(Duration::from_millis(80));
            bar
        });
        Self { terminal: Terminal::new(depth, colour()), record: RunRecord::default(), bar, stepper, printer }
    }

    fn show(&mut self, event: &Event) {
        self.record.read(event);
        let text = self.terminal.read(event);
        if let Some(text) = text.strip_suffix('\n') {
            self.print(text);
        }
        match &event.what {
            Happening::Progress { text } => self.doing(text),
            Happening::StepStarted(step) => self.doing(&step.title),
            _ => {}
        }
    }

    /// Waits for somebody to press Enter, if steps are to be held back.
    async fn ask(&mut self) {
        if let Some(stepper) = &mut self.stepper
            && !stepper.ask(self.printer).await
        {
            // Nobody is there who could: go on without.
            self.stepper = None;
        }
    }

    fn print(&self, text: impl fmt::Display) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.printer.data(text)),
            None => self.printer.data(text),
        }
    }

    fn doing(&self, text: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(text.to_owned());
            bar.reset_elapsed();
        }
    }

    fn close(&mut self) -> RunRecord {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        std::mem::take(&mut self.record)
    }
}

/// Asks for Enter before each step.
struct Stepper {
    key: GateKey,
    lines: mpsc::Receiver<()>,
}

impl Stepper {
    fn new() -> (Option<Gate>, Option<Self>) {
        let (gate, key) = Gate::new();
        let (sender, lines) = mpsc::channel(1);
        // A thread of its own and not one of the runtime's: it ends with the process, while the runtime would wait for
        // the line that never comes.
        std::thread::spawn(move || {
            for line in io::stdin().lock().lines() {
                if line.is_err() || sender.blocking_send(()).is_err() {
                    return;
                }
            }
        });
        (Some(gate), Some(Self { key, lines }))
    }

    /// Lets the step go on after Enter; `false` if there is nobody who could press it.
    async fn ask(&mut self, printer: Printer) -> bool {
        printer.say("    [Enter: do it, Ctrl-C: end]");
        if self.lines.recv().await.is_none() {
            return false;
        }
        self.key.open().await;
        true
    }
}

fn exit_of(summary: &Summary) -> Exit {
    if summary.failed == 0 && summary.not_run == 0 { Exit::Passed } else { Exit::Failed }
}

fn failure(error: RunError) -> Failure {
    match error {
        RunError::Stack(error) => error.into(),
        other => {
            let hint = other.help();
            let failure = Failure::environment(other);
            match hint {
                Some(hint) => failure.with_hint(hint),
                None => failure,
            }
        }
    }
}

/// Whether standard output takes colour: a terminal does, unless `NO_COLOR` is set (<https://no-color.org>).
pub(super) fn colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A failure that is a mistake of ours, as nothing that a user did can lead to it.
pub(super) fn bug(text: &str) -> Failure {
    Failure { exit: Exit::Bug, cause: crate::failure::Cause::Error(sentence(text)), hint: None }
}

fn style() -> ProgressStyle {
    // The default shows the same with other spacing.
    ProgressStyle::with_template("    {spinner} {msg} ({elapsed})").unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_needs_a_known_format_and_a_file() {
        assert!("junit=out.xml".parse::<ReportTo>().is_ok());
        assert!("json=a=b".parse::<ReportTo>().is_ok_and(|report| report.path == std::path::Path::new("a=b")));
        for text in ["junit", "junit=", "xml=out.xml", "=out.xml", ""] {
            assert!(text.parse::<ReportTo>().is_err(), "{text}");
        }
    }
}
