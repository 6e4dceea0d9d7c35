//! `kyanite up` as its users meet it: kubectl, etcdctl, curl, the exports.

use std::process::Command;

use crate::kyanite::{Home, docker_answers, text, until};

#[test]
fn kubectl_and_etcdctl_see_a_cluster_that_encrypts() {
    let home = Home::new();
    let stack = home.start(&["up", "--etcd", "process"]);
    assert_eq!(stack.kubectl(&["create", "secret", "generic", "a", "--from-literal=k=v-plain"]), "secret/a created\n");
    assert_eq!(stack.kubectl(&["get", "secret", "a", "-o", "jsonpath={.data.k}"]), "di1wbGFpbg==");
    let table = stack.kubectl(&["get", "secrets", "-A"]);
    let columns: Vec<_> = table.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(columns, ["NAMESPACE", "NAME", "TYPE", "DATA", "AGE"]);
    let raw = stack.etcdctl(&["get", "--prefix", "/registry/secrets", "--print-value-only"]);
    assert!(raw.starts_with(b"k8s:enc:kms:v2:azurekmsprovider:"));
    assert!(!raw.windows(7).any(|window| window == b"v-plain"));
    assert_eq!(stack.kubectl(&["delete", "secret", "a"]), "secret \"a\" deleted\n");
    assert!(stack.etcdctl(&["get", "--prefix", "/registry/secrets", "--keys-only"]).is_empty());
    assert_eq!(stack.interrupt().code(), Some(0));
}

#[test]
fn the_exports_point_a_shell_at_the_stack() {
    let home = Home::new();
    let stack = home.start(&["up", "--etcd", "process"]);
    let script = r#"
        set -eu
        eval "$("$KYANITE" env)"
        kubectl create secret generic b --from-literal=k=v
        etcdctl get --prefix /registry/secrets --keys-only
        curl -sS "https://kyanite.vault.azure.net/keys?api-version=7.4"
        echo
        curl -sS "https://login.microsoftonline.com/$AZURE_TENANT_ID/oauth2/v2.0/token" -d grant_type=client_credentials \
            -d client_id="$AZURE_CLIENT_ID" -d client_secret="$AZURE_CLIENT_SECRET" -d scope=https://vault.azure.net/.default |
            grep -o '"token_type":"Bearer"'
        curl -sS -H Metadata:true \
            "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://vault.azure.net" |
            grep -o '"token_type":"Bearer"'
        curl -sS -o /dev/null -w '%{http_code}\n' http://example.com/ || true
        eval "$("$KYANITE" env --unset)"
        echo "proxy: ${HTTPS_PROXY:-none}"
    "#;
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).env("KYANITE", env!("CARGO_BIN_EXE_kyanite"));
    shell.env("XDG_RUNTIME_DIR", home.path()).env("HOME", home.path());
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    insta::assert_snapshot!(text(&output.stdout), @r#"
    secret/b created
    /registry/secrets/default/b

    {"error":{"code":"Unauthorized","message":"AKV10000: Request is missing a Bearer or PoP token."}}
    "token_type":"Bearer"
    "token_type":"Bearer"
    502
    proxy: none
    "#);
    assert_eq!(stack.interrupt().code(), Some(0));
}

#[test]
fn the_exports_come_in_other_shapes() {
    let home = Home::new();
    let stack = home.start(&["vault"]);
    let ready = stack.ready();
    let json: serde_json::Value = serde_json::from_str(&home.good(&["env", "--output", "json"])).unwrap();
    assert_eq!(json, ready["env"]);
    let fish = home.good(&["env", "--shell", "fish"]);
    assert!(fish.contains(&format!("set -gx HTTPS_PROXY '{}'\n", stack.place("/gateway/0/url"))), "{fish}");
    // A vault alone has neither a cluster nor an etcd to point at.
    assert!(json.get("KUBECONFIG").is_none() && json.get("ETCDCTL_ENDPOINTS").is_none());
    assert_eq!(stack.interrupt().code(), Some(0));
}

#[test]
fn a_data_directory_brings_everything_back() {
    let home = Home::new();
    let data = home.path().join("data").display().to_string();
    let first = home.start(&["up", "--etcd", "process", "--data-dir", &data]);
    first.kubectl(&["create", "secret", "generic", "a", "--from-literal=k=kept"]);
    let ca = std::fs::read(first.place("/ca")).unwrap();
    assert!(!ca.is_empty());
    // Not even a moment to put things in order.
    first.kill();
    let second = home.start(&["up", "--etcd", "process", "--data-dir", &data]);
    assert_eq!(second.kubectl(&["get", "secret", "a", "-o", "jsonpath={.data.k}"]), "a2VwdA==");
    assert_eq!(second.interrupt().code(), Some(0));
}

#[test]
fn three_members_and_no_kms_are_options() {
    let home = Home::new();
    let stack = home.start(&["up", "--etcd", "process", "--members", "3", "--no-kms"]);
    assert_eq!(stack.ready()["etcd"].as_array().unwrap().len(), 3);
    stack.kubectl(&["create", "secret", "generic", "a", "--from-literal=k=v-plain"]);
    let raw = stack.etcdctl(&["get", "/registry/secrets/default/a", "--print-value-only"]);
    assert!(raw.starts_with(b"k8s\0") && raw.windows(7).any(|window| window == b"v-plain"));
    home.good(&["fault", "stop", "etcd-1"]);
    assert_eq!(stack.kubectl(&["get", "secret", "a", "-o", "name"]), "secret/a\n");
    assert!(home.good(&["status"]).contains("(etcd-1 stopped)"));
    assert_eq!(stack.interrupt().code(), Some(0));
}

/// Where no Docker engine answers, `auto` takes a process.
#[test]
fn auto_takes_containers_where_it_can() {
    let home = Home::new();
    let stack = home.start(&["up"]);
    let status: serde_json::Value = serde_json::from_str(&home.good(&["status", "--output", "json"])).unwrap();
    assert_eq!(status["etcd"]["backend"], if docker_answers() { "container" } else { "process" });
    stack.kubectl(&["create", "secret", "generic", "a", "--from-literal=k=v"]);
    assert_eq!(stack.interrupt().code(), Some(0));
}

#[test]
fn a_program_gets_json_and_silence() {
    let home = Home::new();
    let output = home.path().join("stdout.json");
    let stack = home.start_with(&["up", "--etcd", "process", "--quiet", "--output", "json"], |command| {
        command.stdout(std::fs::File::create(&output).unwrap());
    });
    let ready = stack.ready();
    until("it is printed", || std::fs::read(&output).is_ok_and(|text| text.ends_with(b"}\n")));
    let printed: serde_json::Value = serde_json::from_slice(&std::fs::read(&output).unwrap()).unwrap();
    assert_eq!(printed, ready);
    assert_eq!(stack.log(), "");
    assert_eq!(stack.interrupt().code(), Some(0));
}
