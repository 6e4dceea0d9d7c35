//! Both ends of the socket: what `bind` guarantees, and that a channel speaks to it as kube-apiserver does.

use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::Duration;

use kms_api::v2::key_management_service_client::KeyManagementServiceClient;
use kms_api::v2::key_management_service_server::{KeyManagementService, KeyManagementServiceServer};
use kms_api::v2::{DecryptRequest, DecryptResponse, EncryptRequest, EncryptResponse, StatusRequest, StatusResponse};
use kms_api::{BindError, Endpoint, Listener};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::{Code, Request, Response, Status};

#[tokio::test]
async fn the_socket_is_for_its_owner_alone_and_goes_with_the_listener() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("kms.sock");
    let listener = bind(&path).await.unwrap();

    let found = std::fs::symlink_metadata(&path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    assert_eq!(names_in(folder.path()), ["kms.sock"], "the private folder is gone");

    drop(listener);
    assert_eq!(names_in(folder.path()), [""; 0]);
}

#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("kms.sock");
    // A killed process leaves its file: std's listener does not remove it.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());

    let _listener = bind(&path).await.unwrap();
    tokio::net::UnixStream::connect(&path).await.unwrap();
}

#[tokio::test]
async fn a_live_socket_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("kms.sock");
    let _first = bind(&path).await.unwrap();

    let error = bind(&path).await.unwrap_err();
    assert!(matches!(error, BindError::InUse { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        format!("listen on unix://{}: another process answers there, stop it or choose another socket", path.display())
    );
    tokio::net::UnixStream::connect(&path).await.unwrap();
}

#[tokio::test]
async fn what_is_not_a_socket_is_never_removed() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "keep me").unwrap();
    let link = folder.path().join("link.sock");
    std::os::unix::fs::symlink(&file, &link).unwrap();

    for path in [&file, &link, &folder.path().to_owned()] {
        let error = bind(path).await.unwrap_err();
        assert!(matches!(error, BindError::NotSocket { .. }), "{error:?}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "keep me");
}

#[tokio::test]
async fn a_successors_socket_survives_the_drop() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("kms.sock");
    let first = bind(&path).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let _second = bind(&path).await.unwrap();
    drop(first);
    tokio::net::UnixStream::connect(&path).await.unwrap();
}

#[tokio::test]
async fn the_longest_path_can_be_bound_and_a_missing_folder_is_said() {
    let folder = TempDir::new().unwrap();
    let room = 107 - folder.path().as_os_str().len() - 1;
    let path = folder.path().join("x".repeat(room));
    let _listener = bind(&path).await.unwrap();
    tokio::net::UnixStream::connect(&path).await.unwrap();

    // Here the folder takes all the room, and a name of one letter is shorter than the private folder's.
    let deep = folder.path().join("y".repeat(room - 2));
    std::fs::create_dir(&deep).unwrap();
    let error = bind(&deep.join("s")).await.unwrap_err();
    assert!(matches!(error, BindError::TooLong { .. }), "{error:?}");
    assert_eq!(names_in(&deep), [""; 0]);

    let error = bind(&folder.path().join("no/kms.sock")).await.unwrap_err();
    assert!(error.to_string().ends_with("/no/kms.sock: cannot create a folder beside it"), "{error}");
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn an_abstract_socket_is_bound_once_and_has_no_file() {
    let name = format!("kyanite-test-{}", std::process::id());
    let endpoint: Endpoint = format!("unix:///@{name}").parse().unwrap();
    let listener = endpoint.bind().await.unwrap();
    assert!(matches!(endpoint.bind().await.unwrap_err(), BindError::InUse { .. }));

    let (stop, server) = serve(listener);
    let mut client = KeyManagementServiceClient::new(endpoint.channel());
    assert_eq!(client.status(StatusRequest {}).await.unwrap().into_inner().healthz, "ok");
    stop.send(()).unwrap();
    server.await.unwrap();
    endpoint.bind().await.unwrap();
}

#[tokio::test]
async fn a_channel_connects_late_and_again_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let endpoint = Endpoint::of_path(folder.path().join("kms.sock")).unwrap();
    let mut client = KeyManagementServiceClient::new(endpoint.channel());
    assert_eq!(client.status(StatusRequest {}).await.unwrap_err().code(), Code::Unavailable);

    for _ in 0..3 {
        let (stop, server) = serve(endpoint.bind().await.unwrap());
        // kube-apiserver's `:authority`, which upstream's mock plugin insists on, comes back as the key id.
        assert_eq!(client.status(StatusRequest {}).await.unwrap().into_inner().key_id, "localhost");
        stop.send(()).unwrap();
        server.await.unwrap();
        assert_eq!(client.status(StatusRequest {}).await.unwrap_err().code(), Code::Unavailable);
    }
}

async fn bind(path: &Path) -> Result<Listener, BindError> {
    Endpoint::of_path(path).unwrap().bind().await
}

fn names_in(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Serves a plugin that tells what it was called by; the sender stops it.
fn serve(listener: Listener) -> (oneshot::Sender<()>, JoinHandle<()>) {
    let (stop, stopped) = oneshot::channel::<()>();
    let server = tokio::spawn(async move {
        let stopped = async { stopped.await.unwrap_or(()) };
        let serving = tonic::transport::Server::builder()
            .layer(tower::util::MapRequestLayer::new(|mut request: http::Request<tonic::body::Body>| {
                let authority = request.uri().authority().map(ToString::to_string).unwrap_or_default();
                request.extensions_mut().insert(Authority(authority));
                request
            }))
            .add_service(KeyManagementServiceServer::new(Echo))
            .serve_with_incoming_shutdown(listener, stopped);
        tokio::time::timeout(Duration::from_secs(30), serving).await.expect("stops in time").unwrap();
    });
    (stop, server)
}

#[derive(Clone)]
struct Authority(String);

struct Echo;

#[tonic::async_trait]
impl KeyManagementService for Echo {
    async fn status(&self, request: Request<StatusRequest>) -> Result<Response<StatusResponse>, Status> {
        let key_id = request.extensions().get::<Authority>().map(|authority| authority.0.clone()).unwrap_or_default();
        Ok(Response::new(StatusResponse { version: "v2".into(), healthz: "ok".into(), key_id }))
    }

    async fn decrypt(&self, request: Request<DecryptRequest>) -> Result<Response<DecryptResponse>, Status> {
        Ok(Response::new(DecryptResponse { plaintext: request.into_inner().ciphertext }))
    }

    async fn encrypt(&self, request: Request<EncryptRequest>) -> Result<Response<EncryptResponse>, Status> {
        let ciphertext = request.into_inner().plaintext;
        Ok(Response::new(EncryptResponse { ciphertext, ..EncryptResponse::default() }))
    }
}
