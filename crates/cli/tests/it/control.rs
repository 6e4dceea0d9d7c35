//! The commands that speak to a running stack.

use crate::kyanite::{Home, text};

#[test]
fn a_stack_is_found_looked_at_and_steered() {
    let home = Home::new();
    let stack = home.start(&["up", "--etcd", "process"]);
    stack.kubectl(&["create", "secret", "generic", "a", "--from-literal=k=v"]);

    // RFC 3339 in UTC sorts as text.
    let before = home.good(&["clock"]);
    let after = home.good(&["clock", "advance", "90d"]);
    assert!(after > before && after.trim_end().ends_with('Z'), "{before}{after}");
    assert!(home.good(&["status"]).contains("(90d ahead of real time)"));

    let id = home.good(&["fault", "add", "--on", "KeyDecrypt", "--refuse", "403", "--count", "5"]);
    assert_eq!(home.good(&["fault", "list"]), format!("{} struck 0: {FAULT}\n", id.trim()));
    home.good(&["fault", "clear", id.trim()]);
    assert_eq!(home.good(&["fault", "list"]), "");

    // Everything that was cached is gone with the API server, so this read goes all the way to the vault.
    home.good(&["fault", "restart", "apiserver"]);
    assert_eq!(stack.kubectl(&["get", "secret", "a", "-o", "jsonpath={.data.k}"]), "dg==");
    home.good(&["fault", "stop", "plugin"]);
    home.good(&["fault", "restart", "apiserver"]);
    assert!(!stack.try_kubectl(&["get", "secret", "a"]).status.success());
    home.good(&["fault", "start", "plugin"]);

    // What all of this looked like from the vault.
    let encrypted = home.good(&["audit", "--operation", "KeyEncrypt", "--last", "1"]);
    let words: Vec<_> = encrypted.split_whitespace().skip(1).take(4).collect();
    assert_eq!(words, ["200", "KeyEncrypt", "22222222-2222-4222-8222-222222222222", "127.0.0.1"], "{encrypted}");
    let records = home.good(&["audit", "--failed", "--output", "json"]);
    let record: serde_json::Value = serde_json::from_str(records.lines().next().unwrap()).unwrap();
    assert_eq!((&record["category"], &record["resultType"]), (&"AuditEvent".into(), &"Failed".into()));
    assert!(home.good(&["audit", "--events"]).contains("KeyNewVersionCreated"));
    assert_eq!(home.good(&["audit", "--caller", "nobody"]), "");

    // By name, from elsewhere.
    let elsewhere = Home::new();
    let named = stack.ready_file().display().to_string();
    assert!(elsewhere.good(&["status", "--ready-file", &named]).contains("kms.sock"));
    assert!(elsewhere.good(&["env", "--ready-file", &named]).contains("KUBECONFIG"));
    assert_eq!(stack.interrupt().code(), Some(0));
}

#[test]
fn the_last_stack_that_was_started_is_meant() {
    let home = Home::new();
    let first = home.start(&["vault", "--name", "first-vault"]);
    let second = home.start(&["up", "--etcd", "process", "--no-kms"]);
    assert!(home.good(&["status"]).contains("vault      kyanite "));
    assert_eq!(second.interrupt().code(), Some(0));
    assert!(home.good(&["status"]).contains("vault      first-vault "));
    assert_eq!(first.interrupt().code(), Some(0));
    let output = home.run(&["status"]);
    assert_eq!(output.status.code(), Some(3));
    insta::assert_snapshot!(text(&output.stderr), @r"
    error: failed to find a running stack: none of yours runs
    hint: start one with `kyanite up`, or name its ready file with --ready-file
    ");
}

#[test]
fn a_refusal_of_the_stack_is_passed_on() {
    let home = Home::new();
    let stack = home.start(&["vault"]);
    let refused = |arguments: &[&str]| {
        let output = home.run(arguments);
        format!("{}: {}", output.status.code().unwrap(), text(&output.stderr))
    };
    insta::assert_snapshot!(refused(&["fault", "restart", "apiserver"]), @"2: error: failed to have the stack do it: find the apiserver in this stack");
    insta::assert_snapshot!(refused(&["fault", "clear", "77"]), @"2: error: failed to have the stack do it: there is no fault with this id");
    insta::assert_snapshot!(refused(&["fault", "add", "--refuse", "200"]), @"2: error: failed to have the stack do it: refuse with status 200: it must be 400 to 599");
    assert_eq!(stack.interrupt().code(), Some(0));
}

const FAULT: &str = r#"{"count":5,"effect":{"refuse":{"status":403}},"target":{"operation":"KeyDecrypt"}}"#;
