//! `run`, `tour`, `check`, `inspect` and `keys`, as somebody types them.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::kyanite::{Etcd, Home, signal, text, until, wait};

const GOOD: &str = "\
name: good
title: A Secret is stored and read
why: It is the least that can be expected.
sources: [assumed]
steps:
  - title: It is stored
    create-secret: {name: a, text: {k: v}}
  - title: It is read
    get-secret: {name: a}
    expect: {text: {k: v}}
";

const FAILING: &str = "\
name: failing
title: A Secret is not what it was
why: A failure must be seen.
sources: [assumed]
steps:
  - create-secret: {name: a, text: {k: v}}
  - get-secret: {name: a}
    expect: {text: {k: w}}
  - delete-secret: {name: a}
";

/// Its second step waits until the test has done what it wants to do.
const WAITING: &str = "\
name: waiting
title: Something never comes
why: A run must be able to end early.
sources: [assumed]
steps:
  - create-secret: {name: a, text: {k: v}}
  - title: waits
    check-health: {path: /healthz}
    within: 2m
    expect: {body: [never]}
";

fn home_with(files: &[(&str, &str)]) -> Home {
    let home = Home::new();
    for (name, contents) in files {
        fs::write(home.path().join(name), contents).unwrap();
    }
    home
}

/// What was printed, without what differs from run to run.
fn told(printed: &[u8]) -> String {
    let mut lines = Vec::new();
    for line in text(printed).lines() {
        let mut words: Vec<_> = line.split_whitespace().collect();
        if let [.., number, "ms" | "s"] = words[..]
            && number.parse::<f64>().is_ok()
        {
            words.truncate(words.len() - 2);
            words.push("<duration>");
        }
        let indent = line.len() - line.trim_start().len();
        lines.push(format!("{}{}", " ".repeat(indent), words.join(" ")));
    }
    lines.join("\n")
}

fn etcdctl(etcd: &Etcd, arguments: &[&str]) -> String {
    let mut command = Command::new("etcdctl");
    let output =
        command.env("ETCDCTL_API", "3").arg("--endpoints").arg(etcd.endpoint()).args(arguments).output().unwrap();
    assert!(output.status.success(), "etcdctl {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

fn assert_nothing_left(home: &Home) {
    assert_eq!((home.stacks(), home.children()), (Vec::new(), Vec::new()));
}

/// Starts a run and waits until its transcript says `line`.
fn run_until(home: &Home, arguments: &[&str], line: &str) -> Child {
    let transcript = home.path().join("transcript");
    let mut command = home.command(arguments);
    command.stdout(File::create(&transcript).unwrap());
    command.stderr(File::create(home.path().join("said")).unwrap());
    let mut child = command.spawn().unwrap();
    until(line, || {
        let printed = fs::read_to_string(&transcript).unwrap();
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "it ended with {ended:?}: {printed}");
        printed.contains(line)
    });
    child
}

fn said(home: &Home) -> String {
    fs::read_to_string(home.path().join("said")).unwrap()
}

#[test]
fn stories_that_pass() {
    let home = home_with(&[("good.yaml", GOOD)]);
    let output =
        home.run(&["run", "--etcd", "process", "good.yaml", "--report", "junit=a.xml", "--report", "json=b.json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    insta::assert_snapshot!(told(&output.stdout), @r"
    good A Secret is stored and read
      etcd as a child process, KMS v2 with the key kms of the vault kyanite, up in <duration>
        ok It is stored <duration>
        ok It is read <duration>
      passed in <duration>

    1 story: 1 passed in <duration>
    ");
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&fs::read(home.path().join("b.json")).unwrap()).unwrap();
    assert_eq!((&report["passed"], &report["stories"][0]["outcome"]), (&1.into(), &"passed".into()));
    let report = fs::read_to_string(home.path().join("a.xml")).unwrap();
    assert!(report.contains(r#"<testsuite name="good" tests="2" skipped="0" errors="0" failures="0""#), "{report}");
    assert_nothing_left(&home);
}

#[test]
fn a_story_that_fails() {
    let home = home_with(&[("failing.yaml", FAILING), ("good.yaml", GOOD)]);
    let output = home.run(&["run", "--etcd", "process", ".", "--report", "junit=a.xml"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let transcript = text(&output.stdout);
    assert!(transcript.contains("          expected  k = \"w\"\n          found     k = \"v\"\n"), "{transcript}");
    assert!(
        transcript.contains("2 stories: 1 passed, 1 failed in "),
        "one failure does not stop the others: {transcript}"
    );
    let report = fs::read_to_string(home.path().join("a.xml")).unwrap();
    assert!(report.contains(r#"<failure message="not as expected: text" type="get-secret default/a">"#), "{report}");
    assert_nothing_left(&home);
}

#[test]
fn files_that_are_no_stories() {
    let home = home_with(&[
        ("good.yaml", GOOD),
        ("bad.yaml", "name: bad\ntitel: x\nsteps: [{purge-key: {}, delete-key: {}}]\n"),
    ]);
    for command in ["run", "check"] {
        let output = home.run(&[command, "good.yaml", "bad.yaml", "missing.yaml"]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()));
        insta::allow_duplicates!(insta::assert_snapshot!("no_stories", text(&output.stderr)));
    }
    assert_nothing_left(&home);
}

#[test]
fn files_are_checked_by_what_they_are() {
    let home = home_with(&[("good.yaml", GOOD), ("stack.yaml", "encryption: none\nvault: {key: k1}\n")]);
    insta::assert_snapshot!(home.good(&["check", "."]), @r"
    ./good.yaml: story `good`, 2 steps
    ./stack.yaml: configuration of a stack
    ");
    fs::write(home.path().join("stack.yaml"), "encryption: rot13\nvault: {kee: k1}\n").unwrap();
    let output = home.run(&["check", "."]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("./stack.yaml has 2 problems"), "{said}");
}

#[test]
fn an_etcd_that_is_lost_ends_the_run_with_one_sentence() {
    let home = home_with(&[("waiting.yaml", WAITING)]);
    let etcd_home = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(etcd_home.path());
    let mut run = run_until(&home, &["run", "--etcd", etcd.endpoint(), "waiting.yaml"], "ok    create-secret");
    drop(etcd);
    let status = wait(&mut run);
    assert_eq!(status.code(), Some(3), "{}", said(&home));
    let said = said(&home);
    let lines: Vec<_> = said.lines().collect();
    let [error, hint] = lines[..] else { panic!("{said}") };
    assert!(
        error.starts_with("error: failed to go on with the story `waiting`: etcd does not answer any more ("),
        "{error}"
    );
    assert_eq!(hint, "hint: start the run again; nothing of it is left behind");
    assert_nothing_left(&home);
}

#[test]
fn on_an_etcd_of_ones_own_stories_are_apart_and_leave_nothing() {
    let home = home_with(&[("failing.yaml", FAILING), ("good.yaml", GOOD)]);
    let etcd_home = tempfile::tempdir().unwrap();
    let etcd = Etcd::start(etcd_home.path());
    let put = etcdctl(&etcd, &["put", "/registry/secrets/default/mine", "untouched"]);
    assert_eq!(put, "OK\n");
    let output = home.run(&["run", "--etcd", etcd.endpoint(), "."]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("2 stories: 1 passed, 1 failed in "), "{}", text(&output.stdout));
    let left = etcdctl(&etcd, &["get", "--prefix", "", "--keys-only"]);
    assert_eq!(left.trim(), "/registry/secrets/default/mine");
}

#[test]
fn ctrl_c_ends_a_run_and_leaves_nothing() {
    let home = home_with(&[("waiting.yaml", WAITING)]);
    let mut run = run_until(&home, &["run", "--etcd", "process", "waiting.yaml"], "ok    create-secret");
    signal(run.id(), "INT");
    assert_eq!(wait(&mut run).code(), Some(1), "not every story passed");
    let transcript = fs::read_to_string(home.path().join("transcript")).unwrap();
    assert!(transcript.contains("  interrupted after "), "{transcript}");
    assert!(transcript.contains("1 story: 0 passed, 1 not run in "), "{transcript}");
    assert_eq!(said(&home), "");
    assert_nothing_left(&home);
}

#[test]
fn a_failed_storys_stack_is_kept_until_ctrl_c() {
    let home = home_with(&[("failing.yaml", FAILING)]);
    let mut run = run_until(&home, &["run", "--etcd", "process", "--keep", "failing.yaml"], "1 story: ");
    let inspected = home.good(&["inspect", "a"]);
    assert!(inspected.starts_with("/registry/secrets/default/a  revision "), "{inspected}");
    signal(run.id(), "TERM");
    assert_eq!(wait(&mut run).code(), Some(1));
    assert_nothing_left(&home);
}

#[test]
fn each_step_waits_for_enter() {
    let home = home_with(&[("good.yaml", GOOD)]);
    let mut command = home.command(&["run", "--etcd", "process", "--step", "good.yaml"]);
    let mut run = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut keyboard = run.stdin.take().unwrap();
    keyboard.write_all(b"\n\n").unwrap();
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr).matches("[Enter: do it, Ctrl-C: end]").count(), 2);
    drop(keyboard);
}

#[test]
fn without_anybody_to_press_enter_steps_go_on() {
    let home = home_with(&[("good.yaml", GOOD)]);
    let output = home.run(&["run", "--etcd", "process", "--step", "good.yaml"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn the_tour_is_told() {
    let home = Home::new();
    let output = home.run(&["tour", "--etcd", "process"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let transcript = text(&output.stdout);
    assert!(transcript.contains("It protects nothing real"));
    assert!(transcript.contains("This Secret is lost for good."));
    assert!(output.stderr.is_empty(), "what fails on purpose is not logged: {}", text(&output.stderr));
    assert_nothing_left(&home);
}

#[test]
fn a_running_stack_is_inspected() {
    let home = Home::new();
    let server = home.start(&["up", "--etcd", "process"]);
    server.kubectl(&["create", "secret", "generic", "a", "--from-literal=password=correct-horse"]);

    let inspected: Value = serde_json::from_str(&home.good(&["inspect", "a", "--output", "json"])).unwrap();
    assert_eq!(inspected["sealing"]["provider"], "azurekmsprovider");
    assert_eq!(inspected["sealing"]["trace"]["stale"], false);
    let inside = inspected["opened"]["parts"].as_array().unwrap();
    assert!(inside.iter().any(|part| part["name"] == "Secret.data.value" && part["value"] == "correct-horse"));

    let printed = server.etcdctl(&["get", "/registry/secrets/default/a", "--print-value-only"]);
    fs::write(home.path().join("stored"), &printed).unwrap();
    let raw: Value = serde_json::from_str(&home.good(&["inspect", "--raw", "stored", "--output", "json"])).unwrap();
    assert_eq!(raw["parts"], inspected["parts"], "the same bytes, read without a stack");

    let keys: Value = serde_json::from_str(&home.good(&["keys", "--output", "json"])).unwrap();
    let version = &keys["versions"][0];
    assert_eq!(version["objects"], serde_json::json!(["/registry/secrets/default/a"]));
    let id = version["version"].as_str().unwrap();
    let radius = home.good(&["keys", "--blast-radius", &id[..8]]);
    assert!(radius.contains("1 object would be unreadable without it, under 1 seed"), "{radius}");

    for (arguments, error) in [
        (&["inspect", "nobody"][..], "error: failed to find the Secret default/nobody in etcd\n".to_owned()),
        (
            &["keys", "--blast-radius", "ffffffff"],
            format!("error: failed to find a key version or key id that starts with `ffffffff`; the vault has {id}\n"),
        ),
    ] {
        let output = home.run(arguments);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(2), error));
    }
    server.interrupt();
}

#[test]
fn help() {
    let home = Home::new();
    for command in ["run", "tour", "check", "inspect", "keys"] {
        insta::assert_snapshot!(format!("help_{command}"), home.good(&[command, "--help"]));
    }
}
