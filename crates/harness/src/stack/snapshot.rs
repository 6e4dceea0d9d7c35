//! What is known of a stack without asking a part over its wire.

use super::azure::Gateway;
use super::ground::Ground;
use super::parts::Parts;
use crate::control::{ApiServerStatus, ClockStatus, EtcdStatus, GatewayStatus, KeyStatus, Status, VaultStatus};

/// The status as far as it is known without asking a part.
pub(super) fn snapshot(ground: &Ground, parts: &Parts) -> Status {
    let clock = &ground.config.clock;
    let etcd = parts.etcd.as_ref().map(|etcd| EtcdStatus {
        backend: etcd.backend().to_string(),
        endpoints: etcd.endpoints().to_vec(),
        stopped: etcd.stopped().collect(),
    });
    let vault = parts.vault.as_ref().map(|vault| VaultStatus {
        name: ground.config.vault.clone(),
        url: format!("https://localhost:{}", vault.tls_address.port()),
        keys: ground
            .config
            .vault
            .parse()
            .ok()
            .and_then(|name| vault.control.keys(&name))
            .into_iter()
            .flatten()
            .map(|key| KeyStatus { name: key.name, versions: key.versions, deleted: key.deleted })
            .collect(),
        faults: vault.control.faults(),
        requests: vault.control.counts(),
    });
    let gateway = parts.gateway.iter().flat_map(Gateway::traffic);
    let gateway = gateway.map(|seen| GatewayStatus {
        name: format!("{}:{}", seen.host, seen.port),
        joined: seen.joined,
        refused: seen.refused,
        unreachable: seen.unreachable,
    });
    let api_server = parts.api_server.as_ref().map(|running| {
        let counters = running.counters();
        ApiServerStatus {
            url: running.url(),
            ready: "it was not asked".to_owned(),
            requests: counters.requests,
            server_errors: counters.server_errors,
            watches: counters.watches,
            key_id_hash: running.key_id_hash(),
        }
    });
    Status {
        id: ground.directory.id().to_owned(),
        pid: std::process::id(),
        clock: ClockStatus { now: clock.now(), ahead_seconds: clock.offset().as_secs() },
        etcd,
        vault,
        gateway: gateway.collect(),
        plugin: None,
        api_server,
    }
}
