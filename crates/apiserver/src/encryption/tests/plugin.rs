//! A KMS v2 plugin that does what it is told, well or badly.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use kms_api::Endpoint;
use kms_api::v1beta1 as v1;
use kms_api::v2::key_management_service_server::{KeyManagementService, KeyManagementServiceServer};
use kms_api::v2::{DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, StatusRequest, StatusResponse};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// How the plugin answers.
#[derive(Clone)]
pub(super) struct Behaviour {
    pub(super) version: String,
    pub(super) healthz: String,
    /// In Status.
    pub(super) key_id: String,
    /// In Encrypt, if it is not that of Status.
    pub(super) encrypt_key_id: Option<String>,
    /// In Encrypt, if it is not one that Decrypt understands.
    pub(super) ciphertext: Option<Vec<u8>>,
    pub(super) annotations: BTreeMap<String, Vec<u8>>,
    pub(super) status_fails: Option<Status>,
    pub(super) encrypt_fails: Option<Status>,
    pub(super) decrypt_fails: Option<Status>,
    /// What hangs.
    pub(super) hangs: Vec<&'static str>,
    /// In Version of KMS v1.
    pub(super) v1_version: String,
}

impl Behaviour {
    pub(super) fn good() -> Self {
        Self {
            version: "v2".into(),
            healthz: "ok".into(),
            key_id: "k1".into(),
            encrypt_key_id: None,
            ciphertext: None,
            annotations: BTreeMap::from([("version.azure.akv.io".to_owned(), b"1".to_vec())]),
            status_fails: None,
            encrypt_fails: None,
            decrypt_fails: None,
            hangs: Vec::new(),
            v1_version: "v1beta1".into(),
        }
    }
}

/// The plugin: behaviour and call counts outlive its server.
#[derive(Clone)]
pub(super) struct Plugin {
    behaviour: Arc<Mutex<Behaviour>>,
    calls: Arc<Mutex<Vec<&'static str>>>,
}

impl Plugin {
    pub(super) fn new() -> Self {
        Self { behaviour: Arc::new(Mutex::new(Behaviour::good())), calls: Arc::default() }
    }

    pub(super) fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        let mut good = Behaviour::good();
        change(&mut good);
        *self.behaviour.lock().unwrap() = good;
    }

    pub(super) fn count(&self, method: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|call| **call == method).count()
    }

    async fn called(&self, method: &'static str) -> Behaviour {
        self.calls.lock().unwrap().push(method);
        let behaviour = self.behaviour.lock().unwrap().clone();
        if behaviour.hangs.contains(&method) {
            std::future::pending::<()>().await;
        }
        behaviour
    }
}

#[tonic::async_trait]
impl KeyManagementService for Plugin {
    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let behaviour = self.called("status").await;
        if let Some(status) = behaviour.status_fails {
            return Err(status);
        }
        let Behaviour { version, healthz, key_id, .. } = behaviour;
        Ok(Response::new(StatusResponse { version, healthz, key_id }))
    }

    async fn encrypt(&self, request: Request<EncryptRequest>) -> Result<Response<EncryptResponse>, Status> {
        let behaviour = self.called("encrypt").await;
        if let Some(status) = behaviour.encrypt_fails {
            return Err(status);
        }
        let EncryptRequest { plaintext, uid } = request.into_inner();
        assert_uuid(&uid);
        let key_id = behaviour.encrypt_key_id.unwrap_or(behaviour.key_id);
        let ciphertext = behaviour.ciphertext.unwrap_or_else(|| disguise(&plaintext, &key_id));
        Ok(Response::new(EncryptResponse { ciphertext, key_id, annotations: behaviour.annotations }))
    }

    async fn decrypt(&self, request: Request<DecryptRequest>) -> Result<Response<DecryptResponse>, Status> {
        let behaviour = self.called("decrypt").await;
        if let Some(status) = behaviour.decrypt_fails {
            return Err(status);
        }
        let DecryptRequest { ciphertext, uid, key_id, annotations } = request.into_inner();
        assert_uuid(&uid);
        assert_eq!(annotations, behaviour.annotations, "annotations come back as they were given");
        Ok(Response::new(DecryptResponse { plaintext: disguise(&ciphertext, &key_id) }))
    }
}

/// KMS v1 counts its calls apart: `v1 version`, `v1 encrypt`, `v1 decrypt`. Whose key it was, v1 cannot tell.
#[tonic::async_trait]
impl v1::key_management_service_server::KeyManagementService for Plugin {
    async fn version(&self, request: Request<v1::VersionRequest>) -> Result<Response<v1::VersionResponse>, Status> {
        let behaviour = self.called("v1 version").await;
        assert_eq!(request.into_inner().version, "v1beta1");
        if let Some(status) = behaviour.status_fails {
            return Err(status);
        }
        let version = behaviour.v1_version;
        Ok(Response::new(v1::VersionResponse { version, runtime_name: "test".into(), runtime_version: "0".into() }))
    }

    async fn encrypt(&self, request: Request<v1::EncryptRequest>) -> Result<Response<v1::EncryptResponse>, Status> {
        let behaviour = self.called("v1 encrypt").await;
        let v1::EncryptRequest { version, plain } = request.into_inner();
        assert_eq!(version, "v1beta1");
        if let Some(status) = behaviour.encrypt_fails {
            return Err(status);
        }
        let cipher = behaviour.ciphertext.unwrap_or_else(|| disguise(&plain, "v1"));
        Ok(Response::new(v1::EncryptResponse { cipher }))
    }

    async fn decrypt(&self, request: Request<v1::DecryptRequest>) -> Result<Response<v1::DecryptResponse>, Status> {
        let behaviour = self.called("v1 decrypt").await;
        let v1::DecryptRequest { version, cipher } = request.into_inner();
        assert_eq!(version, "v1beta1");
        if let Some(status) = behaviour.decrypt_fails {
            return Err(status);
        }
        Ok(Response::new(v1::DecryptResponse { plain: disguise(&cipher, "v1") }))
    }
}

/// Not encryption: enough to tell whose key it was.
fn disguise(bytes: &[u8], key_id: &str) -> Vec<u8> {
    bytes.iter().zip(key_id.bytes().cycle()).map(|(byte, key)| byte ^ key).collect()
}

fn assert_uuid(uid: &str) {
    assert!(uid.parse::<uuid::Uuid>().is_ok(), "the uid is a UUID: {uid}");
}

/// A plugin that listens.
pub(super) struct Running {
    stop: CancellationToken,
    server: JoinHandle<()>,
}

impl Running {
    pub(super) async fn start(endpoint: &Endpoint, plugin: &Plugin) -> Self {
        let listener = endpoint.bind().await.unwrap();
        let stop = CancellationToken::new();
        let service = KeyManagementServiceServer::new(plugin.clone());
        let service_v1 = v1::key_management_service_server::KeyManagementServiceServer::new(plugin.clone());
        let stopped = stop.clone();
        let server = tokio::spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service).add_service(service_v1);
            server.serve_with_incoming_shutdown(listener, stopped.cancelled_owned()).await.unwrap();
        });
        Self { stop, server }
    }

    /// Stops it: its connections are closed and its socket is gone.
    pub(super) async fn stop(self) {
        self.stop.cancel();
        self.server.await.unwrap();
    }
}
