//! Parts alone, each killed without warning and started again: nothing that was acknowledged is lost.

use std::process::Command;

use crate::kyanite::{Etcd, Home, Server, until};

/// An etcd, a vault, a plugin and an API server, each a process of its own.
struct Parts {
    home: Home,
    etcd: Etcd,
    vault: Server,
}

impl Parts {
    fn new() -> Self {
        let home = Home::new();
        let etcd = Etcd::start(home.path());
        let vault = home.start(&["vault"]);
        let secret = std::fs::read_to_string(vault.place("/credentials/client_secret_file")).unwrap();
        let azure = serde_json::json!({
            "cloud": "AzurePublicCloud",
            "tenantId": vault.place("/credentials/tenant_id"),
            "aadClientId": vault.place("/credentials/client_id"),
            "aadClientSecret": secret.trim(),
        });
        std::fs::write(home.path().join("azure.json"), azure.to_string()).unwrap();
        let config = format!(
            "apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets]
    providers:
      - kms: {{apiVersion: v2, name: azurekmsprovider, endpoint: 'unix://{}'}}
      - identity: {{}}
",
            home.path().join("kms.sock").display()
        );
        std::fs::write(home.path().join("encryption.yaml"), config).unwrap();
        Self { home, etcd, vault }
    }

    /// With what Azure's plugin honours: a proxy and a file of trusted certificates in the environment.
    fn plugin(&self) -> Server {
        let socket = format!("unix://{}", self.home.path().join("kms.sock").display());
        let arguments = [
            "plugin",
            "--listen-addr",
            &socket,
            "--keyvault-name",
            "kyanite",
            "--key-name",
            "kms",
            "--config-file-path",
            "azure.json",
            "--healthz-port",
            "0",
            "--metrics-addr",
            "0",
        ];
        self.home.start_with(&arguments, |command: &mut Command| {
            command
                .env("HTTPS_PROXY", self.vault.place("/gateway/0/url"))
                .env("SSL_CERT_FILE", self.vault.place("/ca"));
        })
    }

    fn api_server(&self) -> Server {
        let arguments = [
            "apiserver",
            "--etcd-servers",
            self.etcd.endpoint(),
            "--encryption-provider-config",
            "encryption.yaml",
            "--secure-port",
            "0",
            "--cert-dir",
            "certs",
        ];
        self.home.start(&arguments)
    }
}

#[test]
fn killed_parts_lose_nothing() {
    let parts = Parts::new();
    let plugin = parts.plugin();
    let api_server = parts.api_server();
    until("the API server is ready", || api_server.try_kubectl(&["get", "--raw", "/readyz"]).status.success());

    let mut acknowledged = Vec::new();
    let mut write = |server: &Server, names: &[&str]| {
        for name in names {
            let value = format!("--from-literal=k=value-of-{name}");
            server.kubectl(&["create", "secret", "generic", name, &value]);
            acknowledged.push((*name).to_owned());
        }
    };
    write(&api_server, &["a", "b"]);
    api_server.kill();
    let api_server = parts.api_server();
    write(&api_server, &["c"]);

    // Reads and writes go on without the plugin: seeds are cached.
    plugin.kill();
    write(&api_server, &["d"]);
    api_server.kill();
    let plugin = parts.plugin();
    let api_server = parts.api_server();
    until("the API server is ready", || api_server.try_kubectl(&["get", "--raw", "/readyz"]).status.success());
    for name in acknowledged {
        let value = api_server.kubectl(&["get", "secret", &name, "-o", "go-template={{.data.k | base64decode}}"]);
        assert_eq!(value, format!("value-of-{name}"));
    }
    let raw = api_server.etcdctl(&["get", "--prefix", "/registry/secrets", "--print-value-only"]);
    assert!(raw.starts_with(b"k8s:enc:kms:v2:azurekmsprovider:"));
    for part in [api_server, plugin, parts.vault] {
        assert_eq!(part.interrupt().code(), Some(0));
    }
}

#[test]
fn a_killed_vault_keeps_its_keys_in_its_data_directory() {
    let home = Home::new();
    let data = home.path().join("data").display().to_string();
    let versions = |home: &Home| -> serde_json::Value {
        let status: serde_json::Value = serde_json::from_str(&home.good(&["status", "--output", "json"])).unwrap();
        status["vault"]["keys"].clone()
    };
    let vault = home.start(&["vault", "--data-dir", &data]);
    let before = versions(&home);
    assert_eq!(before.as_array().unwrap().len(), 1);
    vault.kill();
    let vault = home.start(&["vault", "--data-dir", &data]);
    assert_eq!(versions(&home), before);
    assert_eq!(vault.interrupt().code(), Some(0));
}

#[test]
fn the_api_server_takes_a_token_file_and_a_prefix() {
    let home = Home::new();
    let etcd = Etcd::start(home.path());
    std::fs::write(home.path().join("tokens"), "s3cr3t,me,1,\"system:masters\"\n").unwrap();
    let server = home.start(&[
        "apiserver",
        "--etcd-servers",
        etcd.endpoint(),
        "--secure-port",
        "0",
        "--cert-dir",
        "certs",
        "--token-auth-file",
        "tokens",
        "--etcd-prefix",
        "/elsewhere/",
    ]);
    server.kubectl(&["create", "secret", "generic", "a", "--from-literal=k=v"]);
    let keys = server.etcdctl(&["get", "--prefix", "/elsewhere/secrets", "--keys-only"]);
    assert!(keys.starts_with(b"/elsewhere/secrets/default/a"));
    assert_eq!(server.interrupt().code(), Some(0));
}
