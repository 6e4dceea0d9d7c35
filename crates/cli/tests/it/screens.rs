//! Screens that are the same on every machine.

use crate::kyanite::{Home, search_path, text};

#[test]
fn help() {
    let home = Home::new();
    insta::assert_snapshot!("help", home.good(&["--help"]));
    for command in ["up", "env", "status", "clock", "fault", "audit", "doctor", "vault", "plugin", "apiserver"] {
        insta::assert_snapshot!(format!("help_{command}"), home.good(&[command, "--help"]));
    }
    insta::assert_snapshot!("help_fault_add", home.good(&["fault", "add", "--help"]));
}

#[test]
fn doctor_names_what_is_missing_and_what_mends_it() {
    let home = Home::new();
    let bin = search_path(home.path(), &["sh"]);
    let mut command = home.command(&["doctor"]);
    command.env("PATH", &bin).env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let screen = text(&output.stdout).replace(&home.path().display().to_string(), "HOME");
    // What the engine's client says differs between its versions.
    let screen: Vec<_> =
        screen.lines().map(|line| if line.contains(" docker ") { "!! docker            ..." } else { line }).collect();
    insta::assert_snapshot!(screen.join("\n"));
}

#[test]
fn doctor_is_content_where_the_tests_run() {
    let home = Home::new();
    let output = home.run(&["doctor", "--output", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    let examination: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(examination["fit"], true);
    assert!(!home.runtime().exists(), "it looks and makes nothing");
}
