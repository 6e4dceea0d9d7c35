//! The report as `JUnit` XML, as CI systems read it: a story is a test suite, a step a test case.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};
use thiserror::Error;

use crate::story::event::{Mismatch, StepOutcome};

use super::record::{RunRecord, StepRecord, StoryRecord};

/// The XML could not be written.
#[derive(Debug, Error)]
#[error("write the JUnit report")]
pub struct JunitError(#[source] SerializeError);

/// The report's text.
///
/// # Errors
///
/// [`JunitError`] if the XML writer refuses the record's text.
pub fn junit(record: &RunRecord) -> Result<String, JunitError> {
    let mut report = Report::new("kyanite");
    report.set_time(Duration::from_millis(record.took_ms));
    for story in &record.stories {
        report.add_test_suite(suite(story));
    }
    report.to_string().map_err(JunitError)
}

fn suite(story: &StoryRecord) -> TestSuite {
    let mut suite = TestSuite::new(&story.story.name);
    suite.set_time(Duration::from_millis(story.took_ms));
    suite.add_property(Property::new("title", &story.story.title));
    suite.add_property(Property::new("file", story.story.file.display().to_string()));
    if let Some(stack) = &story.stack {
        suite.add_property(Property::new("stack", stack));
    }
    suite.add_test_cases(story.steps.iter().map(|step| case(story, step)));
    if !story.evidence.is_empty() {
        let text = story
            .evidence
            .iter()
            .map(|evidence| format!("{}\n{}\n", evidence.title, evidence.lines.join("\n")))
            .collect::<Vec<_>>()
            .join("\n");
        suite.set_system_err(text);
    }
    suite
}

fn case(story: &StoryRecord, step: &StepRecord) -> TestCase {
    let mut case = TestCase::new(format!("{} {}", step.step.number, step.step.title), status(step));
    case.set_classname(&story.story.name);
    case.set_time(Duration::from_millis(step.took_ms));
    if !step.details.is_empty() {
        case.set_system_out(step.details.join("\n"));
    }
    case
}

fn status(step: &StepRecord) -> TestCaseStatus {
    match &step.outcome {
        Some(StepOutcome::Passed) => TestCaseStatus::success(),
        Some(StepOutcome::Failed { mismatches }) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            let message = mismatches.iter().map(|Mismatch { what, .. }| what.as_str()).collect::<Vec<_>>().join(", ");
            status.set_message(format!("not as expected: {message}"));
            status.set_type(&step.step.operation);
            let lines = mismatches
                .iter()
                .map(|Mismatch { what, expected, found }| format!("{what}\n  expected {expected}\n  found    {found}"));
            status.set_description(lines.collect::<Vec<_>>().join("\n"));
            status
        }
        Some(StepOutcome::Interrupted) => TestCaseStatus::skipped(),
        None => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message("the run broke off in this step");
            status
        }
    }
}
