//! What a stack says of itself.

use jiff::Timestamp;
use keyvault::{InjectedFault, KeyVersionInfo, RequestCount};
use serde::{Deserialize, Serialize};

/// What a stack says of itself: where its parts are, whether they run, and what they have seen.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Status {
    /// Names the stack on this machine.
    pub id: String,
    /// Its process.
    pub pid: u32,
    /// Its clock.
    pub clock: ClockStatus,
    /// Its etcd; none for a vault alone.
    pub etcd: Option<EtcdStatus>,
    /// The vault; none while it is stopped.
    pub vault: Option<VaultStatus>,
    /// The gateway's traffic, by name.
    pub gateway: Vec<GatewayStatus>,
    /// The KMS plugin; none while it is stopped, or without KMS.
    pub plugin: Option<PluginStatus>,
    /// The API server; none while it is stopped, or for a vault alone.
    pub api_server: Option<ApiServerStatus>,
}

/// A stack's clock.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ClockStatus {
    /// What it shows.
    pub now: Timestamp,
    /// How far it is ahead of real time, in seconds.
    pub ahead_seconds: i64,
}

/// A stack's etcd.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct EtcdStatus {
    /// `container`, `endpoints` or `process`.
    pub backend: String,
    /// One endpoint for each member.
    pub endpoints: Vec<String>,
    /// Numbers of the members that were stopped.
    pub stopped: Vec<usize>,
}

/// A stack's vault.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct VaultStatus {
    /// Its name.
    pub name: String,
    /// Its address on loopback.
    pub url: String,
    /// Its keys, the deleted ones among them.
    pub keys: Vec<KeyStatus>,
    /// The faults that are injected.
    pub faults: Vec<InjectedFault>,
    /// How many requests each operation had.
    pub requests: Vec<RequestCount>,
}

/// A key of the vault.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct KeyStatus {
    /// Its name.
    pub name: String,
    /// Its versions, oldest first.
    pub versions: Vec<KeyVersionInfo>,
    /// When it was deleted, if it is.
    pub deleted: Option<Timestamp>,
}

/// What the gateway did for one name.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct GatewayStatus {
    /// The name and port that clients asked for.
    pub name: String,
    /// Requests that were joined to an emulator.
    pub joined: u64,
    /// Requests that were refused: nobody answers for the name here.
    pub refused: u64,
    /// Requests whose emulator did not answer.
    pub unreachable: u64,
}

/// A stack's KMS plugin.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PluginStatus {
    /// Its socket.
    pub socket: String,
    /// What it answers to `Status`: the key id that new seeds are encrypted under, or why there is none.
    pub key_id: Result<String, String>,
}

/// A stack's API server.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ApiServerStatus {
    /// Its address.
    pub url: String,
    /// `ok`, or the checks of `/readyz` that fail.
    pub ready: String,
    /// Requests that were answered.
    pub requests: u64,
    /// Answers with a code of 500 or above.
    pub server_errors: u64,
    /// Watches that were begun.
    pub watches: u64,
    /// The hash of the key id that new seeds are encrypted under, as upstream's metrics show it; none without KMS or
    /// before the plugin was heard of.
    pub key_id_hash: Option<String>,
}
