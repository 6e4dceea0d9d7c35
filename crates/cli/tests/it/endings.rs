//! However a stack ends, it leaves nothing: no process, no container, no socket, no file.

use std::process::{Command, Stdio};

use crate::kyanite::{Home, docker_answers, signal, text, until, wait};

#[test]
fn ctrl_c_and_sigterm_leave_nothing() {
    for name in ["INT", "TERM"] {
        let home = Home::new();
        let stack = home.start(&["up", "--etcd", "process"]);
        assert!(!home.children().is_empty());
        let ready_file = stack.ready_file().to_owned();
        stack.signal(name);
        assert_eq!(stack.wait().code(), Some(0), "{name}");
        assert_eq!((home.stacks(), home.children()), (Vec::new(), Vec::new()), "{name}");
        assert!(!ready_file.exists());
    }
}

#[test]
fn ctrl_c_in_the_middle_of_a_start_leaves_nothing() {
    let home = Home::new();
    let mut command = home.command(&["up", "--etcd", "process", "--members", "3"]);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    until("etcd is started", || !home.children().is_empty());
    signal(child.id(), "INT");
    assert_eq!(wait(&mut child).code(), Some(0));
    assert_eq!((home.stacks(), home.children()), (Vec::new(), Vec::new()));
}

#[test]
fn a_killed_stack_takes_its_etcd_with_it_and_the_next_start_clears_the_rest() {
    let home = Home::new();
    let stack = home.start(&["up", "--etcd", "process"]);
    stack.kill();
    until("etcd is gone", || home.children().is_empty());
    assert_eq!(home.stacks().len(), 1, "nobody was left to remove the directory");
    assert_eq!(home.run(&["status"]).status.code(), Some(3), "a killed stack is not found");
    let next = home.start(&["vault"]);
    assert_eq!(home.stacks().len(), 1);
    assert_eq!(next.interrupt().code(), Some(0));
    assert_eq!(home.stacks(), Vec::<String>::new());
}

/// Where no Docker engine answers there is no container to leave behind; that `--etcd container` is refused then is
/// tested in `refusals`.
#[test]
fn containers_go_with_their_stack_or_at_the_next_start() {
    if !docker_answers() {
        return;
    }
    let home = Home::new();
    let stack = home.start(&["up", "--etcd", "container"]);
    let id = stack_id(&home);
    assert_eq!(containers(&id).len(), 1);
    assert_eq!(stack.interrupt().code(), Some(0));
    assert_eq!(containers(&id), Vec::<String>::new());

    let stack = home.start(&["up", "--etcd", "container"]);
    let id = stack_id(&home);
    stack.kill();
    assert_eq!(containers(&id).len(), 1, "Docker does not know that its user is gone");
    let next = home.start(&["up", "--etcd", "container"]);
    assert_eq!(containers(&id), Vec::<String>::new());
    assert_eq!(next.interrupt().code(), Some(0));
}

#[test]
fn an_etcd_that_dies_ends_the_stack_with_a_sentence() {
    let home = Home::new();
    let stack = home.start(&["up", "--etcd", "process"]);
    for process in home.children() {
        signal(process.unsigned_abs(), "KILL");
    }
    let log = home.path().join("up.log");
    assert_eq!(stack.wait().code(), Some(3));
    let log = std::fs::read_to_string(log).unwrap();
    let error: Vec<_> = log.lines().filter(|line| line.starts_with("error:") || line.starts_with("hint:")).collect();
    assert!(error[0].starts_with("error: failed to go on: etcd does not answer any more (http://127.0.0.1:"), "{log}");
    assert_eq!(error[1], "hint: start the stack again; with --data-dir nothing that was acknowledged is lost");
    assert_eq!((home.stacks(), home.children()), (Vec::new(), Vec::new()));
}

fn stack_id(home: &Home) -> String {
    let status: serde_json::Value = serde_json::from_str(&home.good(&["status", "--output", "json"])).unwrap();
    status["id"].as_str().unwrap().to_owned()
}

fn containers(stack: &str) -> Vec<String> {
    let filter = format!("label=dev.kyanite.stack={stack}");
    let output = Command::new("docker").args(["ps", "--all", "--quiet", "--filter", &filter]).output().unwrap();
    text(&output.stdout).lines().map(str::to_owned).collect()
}
