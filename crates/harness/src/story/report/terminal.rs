//! The transcript of a run for people: one line a step, or the whole tale.
//!
//! It reads without colour and fits 100 columns. Nothing is repainted; what shows progress while something takes long
//! is the business of whoever owns the terminal.

use std::time::Duration;

use crate::story::event::{Event, Happening, Mismatch, StepHead, StepOutcome, StoryHead, StoryOutcome};

use super::wrap::wrapped;

/// How much of a run is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Depth {
    /// One line a step, more where a step fails.
    Brief,
    /// One line a step and what each did or saw.
    Detailed,
    /// Everything, with the narration: the tour.
    Told,
}

/// Turns events into lines of text.
#[derive(Debug)]
pub struct Terminal {
    depth: Depth,
    colour: bool,
    width: usize,
    story: Option<StoryHead>,
    step: Option<StepHead>,
    chapters: usize,
    begun: usize,
    details: Vec<Vec<String>>,
}

impl Terminal {
    /// A transcript of the given depth, coloured or not.
    pub fn new(depth: Depth, colour: bool) -> Self {
        Self { depth, colour, width: WIDTH, story: None, step: None, chapters: 0, begun: 0, details: Vec::new() }
    }

    /// What the event adds to the transcript: complete lines, or nothing.
    pub fn read(&mut self, event: &Event) -> String {
        let mut lines = Vec::new();
        match &event.what {
            Happening::StoryStarted(story) => self.story_started(story, &mut lines),
            Happening::StackStarted { stack, took_ms } => {
                lines.push(self.dim(&format!("  {stack}, up in {}", took(*took_ms))));
            }
            Happening::StepStarted(step) => self.step_started(step, &mut lines),
            Happening::Detail { lines: detail } => {
                self.details.push(detail.iter().map(|line| harmless(line)).collect());
            }
            Happening::StepFinished { outcome, took_ms } => self.step_finished(outcome, *took_ms, &mut lines),
            Happening::Evidence { title, lines: evidence } => {
                lines.push(format!("        {}", self.bold(title)));
                lines.extend(evidence.iter().map(|line| format!("          {}", harmless(line)).trim_end().to_owned()));
            }
            Happening::StoryFinished { outcome, took_ms } => self.story_finished(*outcome, *took_ms, &mut lines),
            Happening::StackKept { hints } => {
                lines.push("  the stack is kept running:".to_owned());
                lines.extend(hints.iter().map(|hint| format!("    {hint}")));
            }
            Happening::RunFinished { passed, failed, not_run, took_ms } => {
                if self.depth != Depth::Told {
                    lines.push(self.sum(*passed, *failed, *not_run, *took_ms));
                }
            }
            Happening::Progress { .. } | Happening::RunStarted { .. } => {}
        }
        let mut text = lines.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        text
    }

    fn story_started(&mut self, story: &StoryHead, lines: &mut Vec<String>) {
        if self.depth == Depth::Told {
            lines.push(self.bold(&story.title));
            lines.push(self.dim(&"=".repeat(story.title.chars().count())));
            lines.push(String::new());
            lines.extend(wrapped(&story.why, "", self.width));
            lines.push(String::new());
        } else {
            lines.push(format!("{}  {}", self.bold(&story.name), story.title));
        }
        self.story = Some(story.clone());
        (self.chapters, self.begun) = (0, 0);
    }

    fn step_started(&mut self, step: &StepHead, lines: &mut Vec<String>) {
        self.begun += 1;
        self.details.clear();
        if let Some(chapter) = &step.chapter {
            self.chapters += 1;
            match self.depth {
                Depth::Told => {
                    let heading = format!("{}. {chapter}", self.chapters);
                    lines.push(String::new());
                    lines.push(self.bold(&heading));
                    lines.push(self.dim(&"-".repeat(heading.chars().count())));
                }
                Depth::Brief | Depth::Detailed => lines.push(self.dim(&format!("  {chapter}"))),
            }
        }
        if self.depth == Depth::Told {
            lines.push(String::new());
            if let Some(say) = &step.say {
                lines.extend(wrapped(say, "", self.width));
                lines.push(String::new());
            }
            lines.push(format!("  {} {}", self.bold(">"), self.bold(&step.title)));
            if step.title != step.operation {
                lines.push(self.dim(&format!("    {}", step.operation)));
            }
        }
        self.step = Some(step.clone());
    }

    fn step_finished(&mut self, outcome: &StepOutcome, took_ms: u64, lines: &mut Vec<String>) {
        let details = std::mem::take(&mut self.details);
        let Some(step) = self.step.take() else { return };
        let failed = matches!(outcome, StepOutcome::Failed { .. });
        if self.depth != Depth::Told {
            lines.push(self.step_line(&step, outcome, took_ms));
        }
        if failed || self.depth != Depth::Brief {
            let indent = if self.depth == Depth::Told { "    " } else { "        " };
            for (index, block) in details.iter().enumerate() {
                if self.depth == Depth::Told && (index > 0 || step.title != step.operation) {
                    lines.push(String::new());
                }
                lines.extend(block.iter().flat_map(|line| self.folded(indent, line)));
            }
        }
        if let StepOutcome::Failed { mismatches } = outcome {
            if self.depth == Depth::Told {
                lines.push(format!("    {}", self.red("not as expected")));
            }
            for Mismatch { what, expected, found } in mismatches {
                lines.push(format!("        {what}"));
                lines.push(format!("          expected  {}", harmless(expected)));
                lines.push(format!("          found     {}", harmless(found)));
            }
        }
        if self.depth == Depth::Told {
            let on_aks = step.on_aks.as_ref().map(|text| format!("On AKS: {text}"));
            for text in step.explain.iter().chain(&on_aks) {
                lines.push(String::new());
                lines.extend(wrapped(text, "    ", self.width));
            }
        }
    }

    /// A line of a detail, as it is where it fits, else broken between words. Tables fit.
    fn folded(&self, indent: &str, line: &str) -> Vec<String> {
        if indent.len() + line.chars().count() <= self.width {
            return vec![format!("{indent}{line}").trim_end().to_owned()];
        }
        wrapped(line, indent, self.width)
    }

    fn step_line(&self, step: &StepHead, outcome: &StepOutcome, took_ms: u64) -> String {
        let word = match outcome {
            StepOutcome::Passed => self.green("ok  "),
            StepOutcome::Failed { .. } => self.red("FAIL"),
            StepOutcome::Interrupted => "stop".to_owned(),
        };
        let took = took(took_ms);
        let room = self.width.saturating_sub(LINE_HEAD + took.chars().count());
        let title = cut(&step.title, room);
        format!("    {word}  {title}{}{}", " ".repeat(room.saturating_sub(title.chars().count())), self.dim(&took))
    }

    fn story_finished(&mut self, outcome: StoryOutcome, took_ms: u64, lines: &mut Vec<String>) {
        let Some(story) = self.story.take() else { return };
        let not_run = story.steps.saturating_sub(self.begun);
        let took = took(took_ms);
        if self.depth == Depth::Told {
            return;
        }
        lines.push(match outcome {
            StoryOutcome::Passed => format!("  {} in {took}", self.green("passed")),
            StoryOutcome::Failed if not_run > 0 => {
                format!("  {} in {took}, {not_run} of {} steps not run", self.red("FAILED"), story.steps)
            }
            StoryOutcome::Failed => format!("  {} in {took}", self.red("FAILED")),
            StoryOutcome::Interrupted => format!("  interrupted after {took}"),
        });
        if outcome == StoryOutcome::Failed {
            lines.push(format!("  what the story is about: {}", story.why));
            lines.extend(story.sources.iter().map(|source| format!("  source: {source}")));
        }
        lines.push(String::new());
    }

    fn sum(&self, passed: usize, failed: usize, not_run: usize, took_ms: u64) -> String {
        let stories = passed + failed + not_run;
        let mut parts = vec![format!("{passed} passed")];
        if failed > 0 {
            parts.push(self.red(&format!("{failed} failed")));
        }
        if not_run > 0 {
            parts.push(format!("{not_run} not run"));
        }
        let noun = if stories == 1 { "story" } else { "stories" };
        format!("{stories} {noun}: {} in {}", parts.join(", "), took(took_ms))
    }

    fn bold(&self, text: &str) -> String {
        self.paint("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.paint("2", text)
    }

    fn green(&self, text: &str) -> String {
        self.paint("32", text)
    }

    fn red(&self, text: &str) -> String {
        self.paint("1;31", text)
    }

    /// `text` in the colour of an ANSI SGR code.
    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// What a peer said, without the control characters by which it could speak to the terminal.
fn harmless(text: &str) -> String {
    let escape = |character: char| -> Vec<char> {
        if character.is_control() { character.escape_default().collect() } else { vec![character] }
    };
    text.chars().flat_map(escape).collect()
}

/// A duration in the unit that suits it.
fn took(millis: u64) -> String {
    if millis < 1_000 {
        format!("{millis} ms")
    } else {
        format!("{:.2} s", Duration::from_millis(millis).as_secs_f64())
    }
}

/// `text`, cut to `width` characters.
fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(4)).collect();
    cut.push_str("...");
    cut
}

/// Columns of the transcript.
const WIDTH: usize = 100;

/// Columns before a step's title: indent, word, gap.
const LINE_HEAD: usize = 10;
