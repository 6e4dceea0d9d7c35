//! The runner on a real stack: what it does with stories that do not end well.

use std::path::Path;
use std::time::Duration;

use harness::etcd::{Etcd, EtcdConfig, EtcdSource};
use harness::runtime::RuntimeDir;
use harness::stack::{Progress, StackConfig};
use harness::story::event::{Event, Events, Happening, StepOutcome, StoryOutcome};
use harness::story::report::{Depth, RunRecord, Terminal};
use harness::story::runner::{Gate, Options, RunError, Summary, run};
use harness::story::scenario::{Scenario, load_text};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio_util::sync::CancellationToken;

/// A place of its own for each test's stacks; it is gone when this is dropped.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn runtime(&self) -> RuntimeDir {
        RuntimeDir::open(&self.folder.path().join("run")).unwrap()
    }

    /// A stack whose etcd is a child process.
    pub(crate) fn config(&self) -> StackConfig {
        let mut config = StackConfig::new(self.runtime());
        config.etcd.source = EtcdSource::Process;
        config
    }

    pub(crate) fn options(&self) -> Options {
        Options { stack: self.config(), gate: None, keep: false, interrupt: CancellationToken::new() }
    }
}

/// Everything that is left in a stream whose run has ended.
pub(crate) async fn rest(mut stream: UnboundedReceiver<Event>) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(event) = stream.recv().await {
        events.push(event);
    }
    events
}

pub(crate) fn transcript(depth: Depth, events: &[Event]) -> String {
    let mut terminal = Terminal::new(depth, false);
    events.iter().map(|event| terminal.read(event)).collect()
}

fn story(steps: &str) -> Scenario {
    let text = format!("name: story\ntitle: t\nwhy: w\nsources: [assumed]\n{steps}");
    load_text(Path::new("story.yaml"), &text).unwrap_or_else(|error| panic!("{}", error.plain()))
}

async fn replay(story: Scenario, options: Options) -> (Result<Summary, RunError>, Vec<Event>) {
    let (events, stream) = Events::new();
    let outcome = run(&[story], options, events).await;
    (outcome, rest(stream).await)
}

/// Reads events until `stop` says that this was the one.
async fn read_until(stream: &mut UnboundedReceiver<Event>, stop: impl Fn(&Happening) -> bool) {
    let reading = async {
        loop {
            let event = stream.recv().await.expect("the run goes on");
            if stop(&event.what) {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_mins(1), reading).await.expect("the event comes");
}

/// A step that waits until the test has done what it wants to do.
const WAITING: &str = "
steps:
  - create-secret: {name: a, text: {k: v}}
  - title: waits for what never comes
    check-health: {path: /healthz}
    within: 2m
    expect: {body: [never]}
  - delete-secret: {name: a}
";

fn second_step(happening: &Happening) -> bool {
    matches!(happening, Happening::StepStarted(step) if step.number == 2)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_step_is_a_result_with_evidence_and_finally_is_done() {
    let story = story(
        "
steps:
  - create-secret: {name: a, text: {k: v}}
  - get-secret: {name: a}
    expect: {text: {k: w}}
  - check-health: {path: /livez}
finally:
  - read-stored: {name: a}
    expect: {key-version: first}
",
    );
    let place = Place::new();
    let (outcome, events) = replay(story, place.options()).await;
    let summary = outcome.unwrap();
    assert_eq!((summary.passed, summary.failed, summary.not_run), (0, 1, 0));
    let mut record = RunRecord::default();
    for event in &events {
        record.read(event);
    }
    let [story] = &record.stories[..] else { panic!("one story: {record:?}") };
    assert_eq!(story.outcome, Some(StoryOutcome::Failed));
    let steps: Vec<_> = story.steps.iter().map(|step| (step.step.number, step.outcome.clone().unwrap())).collect();
    let [(1, StepOutcome::Passed), (2, StepOutcome::Failed { mismatches }), (4, StepOutcome::Passed)] = &steps[..]
    else {
        panic!("{steps:?}")
    };
    let [mismatch] = &mismatches[..] else { panic!("{mismatches:?}") };
    assert_eq!(
        (mismatch.what.as_str(), mismatch.expected.as_str(), mismatch.found.as_str()),
        ("text", "k = \"w\"", "k = \"v\"")
    );
    let titles: Vec<_> = story.evidence.iter().map(|evidence| evidence.title.as_str()).collect();
    for title in ["KMS plugin, Status", "vault, versions of the key", "etcd, /registry/secrets/default/a"] {
        assert!(titles.contains(&title), "{titles:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_reports_what_it_saw_last() {
    let story = story(
        "
steps:
  - check-health: {path: /livez}
    within: 200ms
    expect: {body: [never]}
",
    );
    let place = Place::new();
    let (outcome, events) = replay(story, place.options()).await;
    assert_eq!(outcome.unwrap().failed, 1);
    let finished = events.iter().find_map(|event| match &event.what {
        Happening::StepFinished { outcome: StepOutcome::Failed { mismatches }, took_ms } => {
            Some((mismatches, *took_ms))
        }
        _ => None,
    });
    let (mismatches, took_ms) = finished.unwrap();
    assert_eq!((mismatches[0].what.as_str(), mismatches[0].found.as_str()), ("body", "ok"));
    assert!(took_ms >= 200, "{took_ms}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_the_run_and_leaves_nothing() {
    let place = Place::new();
    let interrupt = CancellationToken::new();
    let options = Options { interrupt: interrupt.clone(), ..place.options() };
    let (events, mut stream) = Events::new();
    let stories = [story(WAITING), story("steps: [{delete-key: {}}]")];
    let running = tokio::spawn(async move { run(&stories, options, events).await });
    read_until(&mut stream, second_step).await;
    interrupt.cancel();
    let summary = running.await.unwrap().unwrap();
    assert!(summary.interrupted);
    assert_eq!((summary.passed, summary.failed, summary.not_run), (0, 0, 2));
    let last = rest(stream).await;
    let [step, story, run] = &last[..] else { panic!("{last:?}") };
    assert!(matches!(&step.what, Happening::StepFinished { outcome: StepOutcome::Interrupted, .. }), "{step:?}");
    assert!(matches!(&story.what, Happening::StoryFinished { outcome: StoryOutcome::Interrupted, .. }), "{story:?}");
    assert!(matches!(&run.what, Happening::RunFinished { not_run: 2, .. }), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_holds_each_step_back() {
    let place = Place::new();
    let (gate, key) = Gate::new();
    let options = Options { gate: Some(gate), ..place.options() };
    let (events, mut stream) = Events::new();
    let story = story("steps: [{delete-key: {}}, {recover-key: {}}]");
    let running = tokio::spawn(async move { run(&[story], options, events).await });
    read_until(&mut stream, |happening| matches!(happening, Happening::StepStarted(step) if step.number == 1)).await;
    assert!(stream.try_recv().is_err(), "nothing happens before the gate is opened");
    key.open().await;
    read_until(&mut stream, second_step).await;
    drop(key);
    assert_eq!(running.await.unwrap().unwrap().passed, 1, "without a key the gate stands open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_stack_still_answers() {
    let story = story("steps: [{get-secret: {name: nobody}, expect: {failure: {class: denied}}}]");
    let place = Place::new();
    let (outcome, events) = replay(story, Options { keep: true, ..place.options() }).await;
    let kept = outcome.unwrap().kept.expect("the stack is kept");
    let hints = events.iter().find_map(|event| match &event.what {
        Happening::StackKept { hints } => Some(hints.clone()),
        _ => None,
    });
    assert!(!hints.unwrap().is_empty());
    let kubeconfig = kept.ready().kubeconfig.clone().unwrap();
    assert!(kubeconfig.is_file());
    kept.stop().await;
    assert!(!kubeconfig.exists(), "a stopped stack leaves nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_goes_away_ends_the_run_with_one_sentence() {
    let place = Place::new();
    let etcd = own_etcd(&place).await;
    let endpoints = etcd.endpoints().to_vec();
    let mut options = place.options();
    options.stack.etcd.source = EtcdSource::Endpoints(endpoints);
    let (events, mut stream) = Events::new();
    let story = story(WAITING);
    let running = tokio::spawn(async move { run(&[story], options, events).await });
    read_until(&mut stream, second_step).await;
    etcd.shutdown().await;
    let outcome = tokio::time::timeout(Duration::from_mins(1), running).await.expect("the run ends").unwrap();
    let error = outcome.unwrap_err();
    assert!(matches!(error, RunError::EtcdLost { .. }), "{error:?}");
    assert!(error.to_string().starts_with("go on with the story `story`: etcd does not answer any more ("), "{error}");
}

/// An etcd that is not the run's own.
async fn own_etcd(place: &Place) -> Etcd {
    let config = EtcdConfig { source: EtcdSource::Process, ..EtcdConfig::default() };
    let directory = place.runtime().create().unwrap();
    Etcd::start(&config, &directory, &Progress::silent(), &CancellationToken::new()).await.unwrap()
}
