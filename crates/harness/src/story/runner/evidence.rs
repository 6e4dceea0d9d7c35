//! What helps to understand a failed step: collected at once, while the stack still shows it.

use crate::story::event::{Events, Happening};
use crate::story::inspect;

use super::lab::Lab;

impl Lab {
    /// Looks at everything that a failure may come from. What cannot be seen says why.
    pub(super) async fn collect_evidence(&self, events: &mut Events) {
        let mut show = |title: String, lines: Vec<String>| events.emit(Happening::Evidence { title, lines });
        if let Some(plugin) = &self.wires.plugin {
            show(
                "KMS plugin, Status".to_owned(),
                match plugin.status().await {
                    Ok(status) => vec![
                        format!("version  {}", status.version),
                        format!("healthz  {}", status.healthz),
                        format!("key id   {} ({})", status.key_id, self.name_of_key_id(&status.key_id)),
                    ],
                    Err(refusal) => vec![refusal.to_string()],
                },
            );
        }
        show(
            "API server, /readyz?verbose".to_owned(),
            match self.wires.kubernetes.fetch("/readyz?verbose").await {
                Ok((status, body)) => {
                    std::iter::once(format!("HTTP {status}")).chain(body.lines().map(str::to_owned)).collect()
                }
                Err(refusal) => vec![refusal.to_string()],
            },
        );
        show(
            "vault, versions of the key".to_owned(),
            match self.wires.vault.versions(&self.key).await {
                Ok(versions) => versions
                    .iter()
                    .map(|version| format!("{} {}", version.id(), if version.enabled { "enabled" } else { "disabled" }))
                    .collect(),
                Err(refusal) => vec![refusal.to_string()],
            },
        );
        show(
            "vault, requests by operation and status".to_owned(),
            match self.stack.vault_control().await {
                Ok(control) => control.counts().iter().map(requests).collect(),
                Err(error) => vec![error.to_string()],
            },
        );
        show("clock".to_owned(), vec![format!("{} ahead of real time", shown_offset(self.stack.clock().offset()))]);
        for (namespace, name) in &self.touched {
            let key = self.wires.etcd.secret_key(namespace, name);
            let lines = match self.wires.etcd.read(&key).await {
                Ok(value) => inspect::table(&value),
                Err(refusal) => vec![refusal.to_string()],
            };
            show(format!("etcd, {key}"), lines);
        }
    }
}

fn shown_offset(offset: jiff::SignedDuration) -> String {
    format!("{offset:#}")
}

fn requests(seen: &keyvault::RequestCount) -> String {
    let status = seen.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    format!("{:>5}  {} {status}", seen.count, seen.operation)
}
