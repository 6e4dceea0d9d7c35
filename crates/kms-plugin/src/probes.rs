//! The health and the metrics endpoint, over HTTP.
//!
//! Imitates `pkg/plugin/healthz.go` and `pkg/metrics` of Azure/kubernetes-kms. Differs: Azure's one endpoint makes six
//! calls to the vault for every probe and has the kubelet restart the plugin when the vault's owner disables a key. Here
//! recent real results count, and there are three questions: `/livez` (does the socket answer), `/readyz` (does the key
//! work), and Azure's path, which is what a liveness probe asks today: the vault's owner's doings do not fail it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use kms_api::Endpoint;
use kms_api::v1beta1::VersionRequest;
use kms_api::v1beta1::key_management_service_client::KeyManagementServiceClient as ClientV1;
use kms_api::v2::key_management_service_client::KeyManagementServiceClient as ClientV2;
use kms_api::v2::{DecryptRequest, StatusRequest};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, trace, warn};

use crate::algorithm::Algorithm;
use crate::budget::Budget;
use crate::difference::Difference;
use crate::log::ALWAYS;
use crate::operation::{HEALTHCHECK, OperationError};
use crate::plugin::Plugin;
use crate::secret::Plaintext;
use crate::service_v1::API_VERSION;
use crate::service_v2::STATUS_VERSION;

/// How health is asked for.
#[derive(Clone, Debug)]
pub struct Probes {
    /// The path that Azure's plugin serves, `/healthz` by default.
    pub path: String,
    /// How long an answer may take.
    pub limit: Duration,
    /// The plugin's own socket, which every probe dials.
    pub socket: Endpoint,
}

/// Answers probes on `listener` until `shutdown` is cancelled.
///
/// # Errors
///
/// The system's error if the server ends by itself.
pub async fn serve_probes(
    listener: TcpListener,
    plugin: Plugin,
    probes: Probes,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    info!(target: ALWAYS, address = %listener.local_addr()?, path = probes.path, "health check server running");
    let path = probes.path.clone();
    let asked = Arc::new(Asked { plugin, probes });
    let mut router = Router::new();
    for (own, question) in [("/livez", Question::Live), ("/readyz", Question::Ready)] {
        if own != path {
            router = router.route(own, get(async move |State(asked): State<Arc<Asked>>| asked.answer(question).await));
        }
    }
    let router = router
        .route(&path, get(async |State(asked): State<Arc<Asked>>| asked.answer(Question::Health).await))
        .with_state(asked);
    axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

/// Serves `/metrics` on `listener` until `shutdown` is cancelled.
///
/// # Errors
///
/// The system's error if the server ends by itself.
pub async fn serve_metrics(listener: TcpListener, plugin: Plugin, shutdown: CancellationToken) -> std::io::Result<()> {
    info!(target: ALWAYS, address = %listener.local_addr()?, "Prometheus metrics server running");
    let router = Router::new().route("/metrics", get(async |State(plugin): State<Plugin>| metrics(&plugin)));
    let served = axum::serve(listener, router.with_state(plugin));
    served.with_graceful_shutdown(shutdown.cancelled_owned()).await
}

fn metrics(plugin: &Plugin) -> axum::response::Response {
    match plugin.inner.metrics.text() {
        Ok(text) => ([("content-type", "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

struct Asked {
    plugin: Plugin,
    probes: Probes,
}

#[derive(Clone, Copy)]
enum Question {
    Health,
    Live,
    Ready,
}

/// A status and what is said with it, if all is not well.
type Verdict = Result<(), (StatusCode, String)>;

impl Asked {
    async fn answer(&self, question: Question) -> (StatusCode, String) {
        trace!("Started health check");
        let verdict = match question {
            Question::Live => self.socket_answers().await,
            Question::Health if self.plugin.inner.is_like_azure(Difference::Health) => self.as_azure_does().await,
            Question::Health | Question::Ready => match self.socket_answers().await {
                Ok(()) => self.key_works(question).await,
                failed => failed,
            },
        };
        trace!("Completed health check");
        match verdict {
            Ok(()) => (StatusCode::OK, "ok".to_owned()),
            Err((status, text)) => (status, format!("{text}\n")),
        }
    }

    /// The way of the API server: over the socket, to a version that is this one's.
    async fn socket_answers(&self) -> Verdict {
        let mut client = ClientV1::new(self.probes.socket.channel());
        let unavailable = |text: String| (StatusCode::SERVICE_UNAVAILABLE, text);
        match timeout(self.probes.limit, client.version(VersionRequest::default())).await {
            Ok(Ok(answer)) if answer.get_ref().version == API_VERSION => Ok(()),
            Ok(Ok(_)) => Err(unavailable("failed to get correct version response".to_owned())),
            Ok(Err(status)) => Err(unavailable(format!("{} does not answer: {status}", self.probes.socket))),
            Err(_) => Err(unavailable(format!("{} does not answer", self.probes.socket))),
        }
    }

    async fn key_works(&self, question: Question) -> Verdict {
        match self.plugin.inner.status(Budget::of(self.probes.limit)).await {
            Ok(_) => Ok(()),
            Err(error) if matches!(question, Question::Ready) => Err((StatusCode::SERVICE_UNAVAILABLE, error.text())),
            Err(error) if error.class().is_the_owners() => {
                warn!(class = ?error.class(), "alive, and the key does not work: {}", error.text());
                Ok(())
            }
            Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, error.text())),
        }
    }

    /// Both versions over the socket, then a round trip with each in the process.
    async fn as_azure_does(&self) -> Verdict {
        self.socket_answers().await?;
        let mut client = ClientV2::new(self.probes.socket.channel());
        let unavailable = |text: String| (StatusCode::SERVICE_UNAVAILABLE, text);
        match timeout(self.probes.limit, client.status(StatusRequest {})).await {
            Ok(Ok(status)) if status.get_ref().version == STATUS_VERSION => {}
            Ok(Ok(status)) => {
                let got = &status.get_ref().version;
                let text =
                    format!("failed to get correct version response for v2 expected: {STATUS_VERSION}, got: {got}");
                return Err(unavailable(text));
            }
            Ok(Err(status)) => return Err(unavailable(status.to_string())),
            Err(_) => return Err(unavailable("context deadline exceeded".to_owned())),
        }
        let broken = |text: String| (StatusCode::INTERNAL_SERVER_ERROR, text);
        let failed = |error: OperationError| broken(error.text());
        let inner = &self.plugin.inner;
        let budget = Budget::of(self.probes.limit);
        let plaintext = Plaintext::new(HEALTHCHECK.to_vec());

        let sealed = inner.encrypt(Algorithm::Rsa15, &plaintext, "", budget).await.map_err(failed)?;
        let opened = inner.decrypt_unnamed(&sealed.ciphertext, budget).await.map_err(failed)?;
        if opened.expose() != HEALTHCHECK {
            return Err(broken("plain text mismatch after decryption".to_owned()));
        }
        let sealed = inner.encrypt(Algorithm::RsaOaep256, &plaintext, PROBE_UID, budget).await.map_err(failed)?;
        let request = DecryptRequest {
            ciphertext: sealed.ciphertext,
            uid: PROBE_UID.to_owned(),
            key_id: sealed.key_id.to_string(),
            annotations: sealed.annotations,
        };
        let opened = inner.decrypt(&request, budget).await.map_err(failed)?;
        if opened.expose() == HEALTHCHECK {
            Ok(())
        } else {
            Err(broken("plain text mismatch after decryption with KMSv2".to_owned()))
        }
    }
}

/// Tells the probes' calls from the API server's, as Azure's prefix does.
const PROBE_UID: &str = "local-healthz-check";
