//! What others learn of a stack by: its ready files, and the kubeconfig that they name.

use std::path::PathBuf;

use super::azure::Gateway;
use super::config::CLIENT_ID;
use super::environment::Environment;
use super::error::StackError;
use super::ground::Ground;
use super::kubeconfig::kubeconfig;
use super::parts::Parts;
use crate::ready::{ControlDoor, Credentials, GatewayDoor, ReadyFile, Vault};
use crate::runtime::write_private;

/// The ready files of a stack, removed when it ends.
#[derive(Debug)]
pub(super) struct ReadyFiles {
    paths: Vec<PathBuf>,
}

impl ReadyFiles {
    pub(super) fn write(ready: &ReadyFile, ground: &Ground) -> Result<Self, StackError> {
        let mut written = Self { paths: Vec::new() };
        let own = ground.directory.ready_file();
        // The one that was asked for last: who waits for it may run any command then.
        for path in std::iter::once(&own).chain(&ground.config.ready_file) {
            ready.write(path).map_err(|source| StackError::File { path: path.clone(), source })?;
            written.paths.push(path.clone());
        }
        Ok(written)
    }

    pub(super) fn remove(&self) {
        for path in &self.paths {
            // It may have been removed by hand.
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for ReadyFiles {
    fn drop(&mut self) {
        self.remove();
    }
}

/// The internet first, then the places of the seed.
fn gateway_doors(parts: &Parts) -> Vec<GatewayDoor> {
    let door = |place: &str, url: String| GatewayDoor { place: place.to_owned(), url };
    let Some(gateway) = &parts.gateway else { return Vec::new() };
    let places = gateway.places.iter().map(|(name, address)| door(name, format!("http://{address}")));
    std::iter::once(door("internet", gateway.url())).chain(places).collect()
}

/// What the ready file of a stack says whose parts run.
pub(super) fn ready_file(ground: &Ground, parts: &Parts, control_url: String) -> Result<ReadyFile, StackError> {
    let url =
        |address: Option<std::net::SocketAddr>| address.map(|address| format!("https://localhost:{}", address.port()));
    let vault_url = url(parts.addresses.vault);
    let gateway = parts.gateway.as_ref().map(Gateway::url).unwrap_or_default();
    let etcd = parts.etcd.as_ref().map(|etcd| etcd.endpoints().to_vec()).unwrap_or_default();
    let kubeconfig = parts.api_server.as_ref().map(|running| write_kubeconfig(ground, &running.url())).transpose()?;
    let environment = Environment {
        proxy: &gateway,
        ca: &ground.ca_file,
        kubeconfig: kubeconfig.as_deref(),
        etcd: &etcd,
        tenant_id: ground.config.tenant_id.to_string(),
        client_id: CLIENT_ID.to_string(),
        client_secret: ground.secrets.client_secret.expose(),
    };
    let vault = |url: &String| Vault {
        name: ground.config.vault.clone(),
        url: url.clone(),
        challenge_resource: "https://vault.azure.net".to_owned(),
    };
    Ok(ReadyFile {
        ca: Some(ground.ca_file.clone()),
        vaults: vault_url.iter().map(vault).collect(),
        entra: vault_url.clone(),
        imds: parts.addresses.identity.map(|address| format!("http://{address}")),
        kms_sockets: parts.plugin.iter().map(|_| ground.socket.to_string()).collect(),
        encryption_config: parts.api_server.as_ref().and(ground.encryption_config.clone()),
        control: Some(ControlDoor { url: control_url, token_file: ground.secrets.control_token_file.clone() }),
        gateway: gateway_doors(parts),
        credentials: Some(Credentials {
            tenant_id: ground.config.tenant_id.to_string(),
            client_id: CLIENT_ID.to_string(),
            client_secret_file: ground.secrets.client_secret_file.clone(),
        }),
        env: environment.variables(),
        kubeconfig,
        etcd,
    })
}

fn write_kubeconfig(ground: &Ground, url: &str) -> Result<PathBuf, StackError> {
    let path = ground.directory.path().join("kubeconfig");
    let text = kubeconfig(url, &ground.ca_pem, ground.secrets.api_token.expose());
    write_private(&path, text.as_bytes()).map_err(|source| StackError::File { path: path.clone(), source })?;
    Ok(path)
}
