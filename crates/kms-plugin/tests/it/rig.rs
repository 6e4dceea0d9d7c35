//! A plugin on its socket in front of a scripted vault, and a gRPC client as kube-apiserver is one.

use std::time::Duration;

use clock::Clock;
use kms_api::Endpoint;
use kms_api::v1beta1;
use kms_api::v1beta1::key_management_service_client::KeyManagementServiceClient as ClientV1;
use kms_api::v2::key_management_service_client::KeyManagementServiceClient;
use kms_api::v2::{DecryptRequest, EncryptRequest, EncryptResponse, StatusRequest};
use kms_plugin::{ClientSecret, Config, Credential, Plugin, Proxy};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Request, Status};

use crate::peer::Peer;

pub(crate) const CLIENT_SECRET: &str = "scripted~client~secret";

pub(crate) struct Rig {
    pub(crate) clock: Clock,
    pub(crate) client: KeyManagementServiceClient<Channel>,
    pub(crate) client_v1: ClientV1<Channel>,
    pub(crate) endpoint: Endpoint,
    pub(crate) folder: TempDir,
    pub(crate) peer: Peer,
    pub(crate) plugin: Plugin,
    pub(crate) server: JoinHandle<()>,
    pub(crate) shutdown: CancellationToken,
}

impl Rig {
    /// A plugin that is pinned to `version`, or follows the key without one.
    pub(crate) async fn start(peer: &Peer, version: Option<&str>) -> Self {
        Self::start_with(peer, version, |_, _| {}).await
    }

    pub(crate) async fn start_with(
        peer: &Peer,
        version: Option<&str>,
        adjust: impl FnOnce(&mut Config, &TempDir),
    ) -> Self {
        let clock = Clock::new();
        let folder = TempDir::new().unwrap();
        let mut config = config(peer, clock.clone());
        config.key_version = version.map(|version| version.parse().unwrap());
        adjust(&mut config, &folder);
        let plugin = Plugin::start(config).unwrap();

        let endpoint = Endpoint::of_path(folder.path().join("kms.sock")).unwrap();
        let listener = endpoint.bind().await.unwrap();
        let shutdown = CancellationToken::new();
        let serving = kms_plugin::serve(listener, plugin.clone(), shutdown.clone());
        let server = tokio::spawn(async move { serving.await.unwrap() });
        let client = KeyManagementServiceClient::new(endpoint.channel());
        let client_v1 = ClientV1::new(endpoint.channel());
        Self { clock, client, client_v1, endpoint, folder, peer: peer.clone(), plugin, server, shutdown }
    }

    pub(crate) async fn encrypt(&self, plaintext: &[u8]) -> Result<EncryptResponse, Status> {
        let request = EncryptRequest { plaintext: plaintext.to_vec(), uid: "uid-encrypt".to_owned() };
        self.client.clone().encrypt(like_the_api_server(request)).await.map(tonic::Response::into_inner)
    }

    pub(crate) async fn decrypt(&self, sealed: &EncryptResponse) -> Result<Vec<u8>, Status> {
        let request = DecryptRequest {
            ciphertext: sealed.ciphertext.clone(),
            uid: "uid-decrypt".to_owned(),
            key_id: sealed.key_id.clone(),
            annotations: sealed.annotations.clone(),
        };
        self.client.clone().decrypt(like_the_api_server(request)).await.map(|reply| reply.into_inner().plaintext)
    }

    /// Over KMS v1beta1.
    pub(crate) async fn encrypt_v1(&self, plain: &[u8]) -> Result<Vec<u8>, Status> {
        let request = v1beta1::EncryptRequest { version: "v1beta1".to_owned(), plain: plain.to_vec() };
        self.client_v1.clone().encrypt(like_the_api_server(request)).await.map(|reply| reply.into_inner().cipher)
    }

    /// Over KMS v1beta1.
    pub(crate) async fn decrypt_v1(&self, cipher: &[u8]) -> Result<Vec<u8>, Status> {
        let request = v1beta1::DecryptRequest { version: "v1beta1".to_owned(), cipher: cipher.to_vec() };
        self.client_v1.clone().decrypt(like_the_api_server(request)).await.map(|reply| reply.into_inner().plain)
    }

    /// The key id of a healthy Status.
    pub(crate) async fn status(&self) -> Result<String, Status> {
        let reply = self.client.clone().status(like_the_api_server(StatusRequest {})).await?.into_inner();
        assert_eq!((reply.version.as_str(), reply.healthz.as_str()), ("v2beta1", "ok"));
        Ok(reply.key_id)
    }
}

/// kube-apiserver gives each call 3 s.
pub(crate) fn like_the_api_server<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(Duration::from_secs(3));
    request
}

pub(crate) fn config(peer: &Peer, clock: Clock) -> Config {
    let credential = Credential::ClientSecret {
        tenant: "11111111-1111-4111-8111-111111111111".to_owned(),
        client: "22222222-2222-4222-8222-222222222222".to_owned(),
        secret: ClientSecret::new(CLIENT_SECRET.to_owned()),
    };
    let mut config = Config::new("kyanite".parse().unwrap(), "kms".parse().unwrap(), credential, clock);
    config.http.proxy = Proxy::Url(peer.proxy.clone());
    config.http.ca_pem = Some(peer.ca_pem.clone().into_bytes());
    config
}

/// Polls a state with a deadline and tells the last thing seen.
pub(crate) async fn wait_until<T: std::fmt::Debug>(mut look: impl AsyncFnMut() -> T, good: impl Fn(&T) -> bool) -> T {
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        let seen = look().await;
        if good(&seen) {
            return seen;
        }
        assert!(std::time::Instant::now() < deadline, "last seen: {seen:?}");
        tokio::task::yield_now().await;
    }
}
