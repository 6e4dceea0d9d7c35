//! kubectl, unmodified, as a process.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use crate::server::{DEADLINE, Server};

struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

fn command(server: &Server, arguments: &[&str]) -> Command {
    let mut command = Command::new("kubectl");
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", server.directory.path())
        .env("KUBECONFIG", server.kubeconfig())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

async fn kubectl_with(server: &Server, arguments: &[&str], input: &str) -> Ran {
    let mut child = command(server, arguments)
        .spawn()
        .expect("these tests need `kubectl` on PATH: apt-get install kubernetes-client, or put a release of it there");
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = timeout(DEADLINE, child.wait_with_output()).await.expect("kubectl ends").unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

async fn kubectl(server: &Server, arguments: &[&str]) -> String {
    kubectl_fed(server, arguments, "").await
}

async fn kubectl_fed(server: &Server, arguments: &[&str], input: &str) -> String {
    let ran = kubectl_with(server, arguments, input).await;
    assert_eq!(ran.code, Some(0), "kubectl {arguments:?}: {}{}", ran.out, ran.err);
    ran.out
}

/// Lines with their columns apart by one space, and ages as `<age>`.
fn squeezed(table: &str) -> Vec<String> {
    table
        .lines()
        .map(|line| {
            let mut words: Vec<&str> = line.split_whitespace().collect();
            if let Some(last) = words.last_mut()
                && last.ends_with('s')
                && last.starts_with(|first: char| first.is_ascii_digit())
            {
                *last = "<age>";
            }
            words.join(" ")
        })
        .collect()
}

#[tokio::test]
async fn create_get_and_delete() {
    let server = Server::start().await;
    assert_eq!(
        kubectl(&server, &["create", "secret", "generic", "a", "--from-literal=k=v"]).await,
        "secret/a created\n"
    );
    let yaml = kubectl(&server, &["get", "secret", "a", "-o", "yaml"]).await;
    assert!(yaml.contains("k: dg==") && yaml.contains("type: Opaque") && yaml.contains("kind: Secret"), "{yaml}");
    assert_eq!(squeezed(&kubectl(&server, &["get", "secrets"]).await), ["NAME TYPE DATA AGE", "a Opaque 1 <age>"]);
    assert_eq!(
        squeezed(&kubectl(&server, &["get", "secrets", "-A"]).await),
        ["NAMESPACE NAME TYPE DATA AGE", "default a Opaque 1 <age>"]
    );
    assert_eq!(kubectl(&server, &["get", "secret", "a", "-o", "name"]).await, "secret/a\n");
    let described = kubectl(&server, &["describe", "secret", "a"]).await;
    assert!(described.contains("Type:  Opaque") && described.contains("k:  1 bytes"), "{described}");
    assert_eq!(kubectl(&server, &["delete", "secret", "a"]).await, "secret \"a\" deleted\n");
    let missing = kubectl_with(&server, &["get", "secret", "a"], "").await;
    assert_eq!(
        (missing.code, missing.err.as_str()),
        (Some(1), "Error from server (NotFound): secrets \"a\" not found\n")
    );
    let twice = ["create", "configmap", "m", "--from-literal=k=v"];
    kubectl(&server, &twice).await;
    let exists = kubectl_with(&server, &twice, "").await;
    assert_eq!(exists.err, "error: failed to create configmap: configmaps \"m\" already exists\n");
    assert_eq!(squeezed(&kubectl(&server, &["get", "cm"]).await), ["NAME DATA AGE", "m 1 <age>"]);
    let described = kubectl(&server, &["describe", "configmap", "m"]).await;
    assert!(described.contains("Events:  <none>"), "{described}");
}

#[tokio::test]
async fn namespaces_come_and_go() {
    let server = Server::start().await;
    kubectl(&server, &["create", "namespace", "team"]).await;
    kubectl(&server, &["-n", "team", "create", "secret", "generic", "a", "--from-literal=k=v"]).await;
    let table = squeezed(&kubectl(&server, &["get", "ns"]).await);
    assert!(table.contains(&"team Active <age>".to_owned()), "{table:?}");
    assert!(kubectl(&server, &["describe", "ns", "team"]).await.contains("Status:       Active"));
    kubectl(&server, &["delete", "namespace", "team"]).await;
    assert!(!kubectl(&server, &["get", "ns"]).await.contains("team"));
}

const MANIFEST: &str = r"
apiVersion: v1
kind: Secret
metadata:
  name: applied
  labels: {tier: one}
stringData:
  k: v
";

#[tokio::test]
async fn apply_creates_changes_and_leaves_alone() {
    let server = Server::start().await;
    let apply = ["apply", "-f", "-"];
    assert_eq!(kubectl_fed(&server, &apply, MANIFEST).await, "secret/applied created\n");
    let changed = MANIFEST.replace("tier: one", "tier: two");
    assert_eq!(kubectl_fed(&server, &apply, &changed).await, "secret/applied configured\n");
    let config_map =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m, finalizers: [example.com/a]}\ndata: {k: v}\n";
    assert_eq!(kubectl_fed(&server, &apply, config_map).await, "configmap/m created\n");
    assert_eq!(kubectl_fed(&server, &apply, config_map).await, "configmap/m unchanged\n");
    let mine = ["apply", "--server-side", "-f", "-"];
    let named = config_map.replace("name: m,", "name: s,");
    assert_eq!(kubectl_fed(&server, &mine, &named).await, "configmap/s serverside-applied\n");
    let refused = kubectl_with(&server, &mine, &config_map.replace("k: v", "k: w")).await;
    assert!(refused.err.contains("conflict with \"kubectl-client-side-apply\" using v1"), "{}", refused.err);
    let difference = kubectl_with(&server, &["diff", "-f", "-"], &changed.replace("k: v", "k: w")).await;
    assert_eq!(difference.code, Some(1), "{}", difference.err);
    let misspelt = MANIFEST.replace("stringData", "stringDate");
    let refused = kubectl_with(&server, &["create", "-f", "-"], &misspelt).await;
    assert!(refused.err.contains("strict decoding error: unknown field \"stringDate\""), "{}", refused.err);
}

#[tokio::test]
async fn every_secret_is_rewritten_as_the_documentation_says() {
    let server = Server::start().await;
    for name in ["a", "b"] {
        kubectl(&server, &["create", "secret", "generic", name, "--from-literal=k=v"]).await;
    }
    let all = kubectl(&server, &["get", "secrets", "-A", "-o", "json"]).await;
    let replaced = kubectl_fed(&server, &["replace", "-f", "-"], &all).await;
    assert_eq!(replaced, "secret/a replaced\nsecret/b replaced\n");
    // Nothing was stale, so nothing was written.
    assert_eq!(kubectl(&server, &["get", "secrets", "-A", "-o", "json"]).await, all);
}

#[tokio::test]
async fn labels_annotations_and_patches() {
    let server = Server::start().await;
    kubectl(&server, &["create", "secret", "generic", "a", "--from-literal=k=v"]).await;
    assert_eq!(kubectl(&server, &["label", "secret", "a", "x=1"]).await, "secret/a labeled\n");
    assert_eq!(kubectl(&server, &["annotate", "secret", "a", "note=hi"]).await, "secret/a annotated\n");
    assert_eq!(kubectl(&server, &["get", "secrets", "-l", "x=1", "-o", "name"]).await, "secret/a\n");
    for (kind, patch) in [
        ("strategic", r#"{"metadata":{"labels":{"s":"1"}}}"#),
        ("merge", r#"{"metadata":{"labels":{"m":"1"}}}"#),
        ("json", r#"[{"op":"add","path":"/metadata/labels/j","value":"1"}]"#),
    ] {
        assert_eq!(
            kubectl(&server, &["patch", "secret", "a", "--type", kind, "-p", patch]).await,
            "secret/a patched\n"
        );
    }
    let labels = kubectl(&server, &["get", "secret", "a", "-o", "jsonpath={.metadata.labels}"]).await;
    assert_eq!(labels, r#"{"j":"1","m":"1","s":"1","x":"1"}"#);
    let explained = kubectl(&server, &["explain", "secret.stringData"]).await;
    assert!(explained.contains("write-only input field for convenience"), "{explained}");
}

#[tokio::test]
async fn a_watch_prints_what_happens() {
    let server = Server::start().await;
    let mut child = command(&server, &["get", "secrets", "-w"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // kubectl prints nothing before there is something, so the create may come before or after the watch begins.
    kubectl(&server, &["create", "secret", "generic", "a", "--from-literal=k=v"]).await;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.push(timeout(DEADLINE, lines.next_line()).await.expect("a line").unwrap().expect("kubectl goes on"));
    }
    assert_eq!(squeezed(&seen.join("\n")), ["NAME TYPE DATA AGE", "a Opaque 1 <age>"]);
}

#[tokio::test]
async fn what_the_server_has() {
    let server = Server::start().await;
    let resources = kubectl(&server, &["api-resources", "--no-headers"]).await;
    assert_eq!(
        squeezed(&resources),
        ["configmaps cm v1 true ConfigMap", "namespaces ns v1 false Namespace", "secrets v1 true Secret"]
    );
    let version = kubectl(&server, &["version"]).await;
    assert!(version.contains("Server Version: v1.34.0+kyanite"), "{version}");
}
