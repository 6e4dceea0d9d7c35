//! Bad input and a bad environment: one clear sentence, the right exit code, nothing left behind.

use std::net::TcpListener;

use crate::kyanite::{Home, search_path, text};

/// Runs it to its bad end: exit code and what it says, with this run's paths and ports taken out.
fn refusal(home: &Home, arguments: &[&str]) -> String {
    refusal_with(home, arguments, |_| {})
}

fn refusal_with(home: &Home, arguments: &[&str], more: impl FnOnce(&mut std::process::Command)) -> String {
    let mut command = home.command(arguments);
    more(&mut command);
    let output = command.output().unwrap();
    assert!(output.stdout.is_empty(), "data goes to standard output, and this is none");
    assert_eq!((home.stacks(), home.children()), (Vec::new(), Vec::new()));
    let said = text(&output.stderr).replace(&home.path().display().to_string(), "HOME");
    format!("exit {}\n{said}", output.status.code().unwrap())
}

#[test]
fn a_port_that_is_taken() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    std::fs::write(home.path().join("stack.yaml"), format!("ports: {{gateway: {port}}}\n")).unwrap();
    let said = refusal(&home, &["up", "--etcd", "process", "--config", "stack.yaml"]).replace(&port, "PORT");
    insta::assert_snapshot!(said, @r"
    exit 3
    error: failed to listen on 127.0.0.1:PORT for the gateway: Address already in use (os error 98)
    hint: another program has port PORT: end it, or leave the port out to get a free one
    ");
}

#[test]
fn no_etcd_at_all() {
    let home = Home::new();
    let bin = search_path(home.path(), &["sh"]);
    let said = refusal_with(&home, &["up"], |command| {
        command.env("PATH", &bin).env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    });
    insta::assert_snapshot!(said);
}

#[test]
fn no_docker_engine() {
    let home = Home::new();
    let said = refusal_with(&home, &["up", "--etcd", "container"], |command| {
        command.env("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    });
    assert!(said.starts_with("exit 3\nerror: failed to reach a Docker engine: "), "{said}");
    assert!(said.ends_with("hint: start a Docker engine, or take --etcd process\n"), "{said}");
}

#[test]
fn an_etcd_program_that_is_not_there() {
    let home = Home::new();
    let said = refusal(&home, &["up", "--etcd", "process", "--etcd-binary", "/nonexistent/etcd"]);
    insta::assert_snapshot!(said, @r"
    exit 3
    error: failed to find the etcd program `/nonexistent/etcd`
    hint: install it (Debian, Ubuntu: apt-get install etcd-server; macOS: brew install etcd) or name it with --etcd-binary
    ");
}

#[test]
fn an_etcd_that_does_not_answer() {
    let home = Home::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let said = refusal(&home, &["up", "--etcd", &format!("http://127.0.0.1:{port}")]);
    let expected = format!("exit 3\nerror: failed to reach etcd at http://127.0.0.1:{port} within 5 s: ");
    assert!(said.starts_with(&expected), "{said}");
}

#[test]
fn a_configuration_with_mistakes() {
    let home = Home::new();
    std::fs::write(home.path().join("stack.yaml"), "etcd: {members: 0}\nencrypt: kms\nvault:\n  name: x\n").unwrap();
    insta::assert_snapshot!(refusal(&home, &["up", "--config", "stack.yaml"]));
    let said = refusal(&home, &["up", "--config", "absent.yaml"]);
    insta::assert_snapshot!(said, @r"
    exit 2
    error: failed to read the configuration file absent.yaml: No such file or directory (os error 2)
    ");
}

#[test]
fn arguments_with_mistakes() {
    let home = Home::new();
    let first_line = |arguments: &[&str]| {
        let said = refusal(&home, arguments);
        said.lines().take(2).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(first_line(&["up", "--etcd", "docker"]), @r"
    exit 2
    error: invalid value 'docker' for '--etcd <SOURCE>': `docker` is none of auto, container, process, or endpoints like http://127.0.0.1:2379,...
    ");
    insta::assert_snapshot!(first_line(&["clock", "advance", "soon"]), @r"
    exit 2
    error: invalid value 'soon' for '<SPAN>': `soon` is not a span of time such as 30s, 3m, 6h or 90d
    ");
    insta::assert_snapshot!(first_line(&["fault", "stop", "scheduler"]), @r"
    exit 2
    error: invalid value 'scheduler' for '<PART>': `scheduler` is no part of a stack: apiserver, gateway, plugin, vault, etcd-0, ...
    ");
    assert!(first_line(&["fly"]).starts_with("exit 2"));
    assert!(first_line(&["fault", "add", "--drop", "--hang"]).starts_with("exit 2"));
    assert!(first_line(&["fault", "add"]).starts_with("exit 2"));
}

#[test]
fn a_ready_file_that_is_none() {
    let home = Home::new();
    let said = refusal(&home, &["status", "--ready-file", "absent.json"]);
    insta::assert_snapshot!(said, @r"
    exit 3
    error: failed to read the ready file absent.json: No such file or directory (os error 2)
    ");
    std::fs::write(home.path().join("other.json"), "{\"etcd\": 1}").unwrap();
    assert!(
        refusal(&home, &["env", "--ready-file", "other.json"])
            .starts_with("exit 3\nerror: failed to understand other.json")
    );
}

#[test]
fn a_part_alone_with_bad_input() {
    let home = Home::new();
    std::fs::write(home.path().join("enc.yaml"), "kind: EncryptionConfiguration\n").unwrap();
    std::fs::write(home.path().join("azure.json"), "{\"tenantId\": 1}").unwrap();
    std::fs::write(home.path().join("tokens"), "only,two\n").unwrap();
    let etcd = "http://127.0.0.1:1";
    let api = |more: &[&str]| {
        let mut arguments = vec!["apiserver", "--etcd-servers", etcd, "--cert-dir", "certs"];
        arguments.extend(more);
        refusal(&home, &arguments)
    };
    assert!(
        api(&["--encryption-provider-config", "enc.yaml"])
            .starts_with("exit 2\nerror: failed to use the encryption configuration enc.yaml: ")
    );
    assert!(api(&["--token-auth-file", "tokens"]).starts_with("exit 2\nerror: failed to use the token file tokens: "));
    let plugin = |more: &[&str]| {
        let mut arguments = vec!["plugin", "--keyvault-name", "kyanite", "--key-name", "kms", "--listen-addr"];
        arguments.extend(more);
        refusal(&home, &arguments)
    };
    assert!(
        plugin(&["tcp://127.0.0.1:1"]).starts_with("exit 2\nerror: failed to use `tcp://127.0.0.1:1` as a socket: ")
    );
    let said = plugin(&["unix:///tmp/unused.sock", "--config-file-path", "azure.json"]);
    assert!(said.starts_with("exit 2\nerror: failed to use the Azure configuration azure.json: "), "{said}");
    let said = refusal(&home, &["apiserver", "--etcd-servers", "auto", "--cert-dir", "certs"]);
    assert!(said.starts_with("exit 2\nerror: failed to use `auto` as etcd servers"), "{said}");
}
