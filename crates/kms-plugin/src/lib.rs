//! Azure's Kubernetes KMS plugin, and better where its users suffer.
//!
//! kube-apiserver speaks KMS v2 or v1beta1 to it on a Unix socket; it encrypts and decrypts with a Key Vault key through the
//! official Azure SDK, so it works against real Azure as against an emulator, and knows of neither. What it stores is
//! to the byte what `Azure/kubernetes-kms` v0.11.0 stores: key ids, ciphertext text and annotations.
//!
//! Where it is better on purpose the code says `Differs:`; in short: it decrypts with the version that the key id
//! names, follows a key given without a version, answers Status from recent real results, and fails with gRPC codes
//! that mean something before the caller's deadline.
//!
//! What it does not do: read arguments or the environment (`cli` does), or hold any key.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use kms_plugin::{ClientSecret, Config, Credential, Plugin};
//!
//! let credential = Credential::ClientSecret {
//!     tenant: "11111111-1111-4111-8111-111111111111".to_owned(),
//!     client: "22222222-2222-4222-8222-222222222222".to_owned(),
//!     secret: ClientSecret::new("…".to_owned()),
//! };
//! let config = Config::new("kyanite".parse()?, "kms".parse()?, credential, clock::Clock::new());
//! let plugin = Plugin::start(config)?;
//! let listener = "unix:///run/kms.sock".parse::<kms_api::Endpoint>()?.bind().await?;
//! kms_plugin::serve(listener, plugin, tokio_util::sync::CancellationToken::new()).await?;
//! # Ok(()) }
//! ```

mod algorithm;
mod annotations;
mod azure_json;
mod budget;
mod certificate;
mod cloud;
mod config;
mod credential;
mod difference;
mod health;
mod in_flight;
mod key;
mod known_versions;
mod log;
mod metrics;
mod operation;
mod plugin;
mod probes;
mod secret;
mod service;
mod service_v1;
mod service_v2;
mod transport;
mod vault_client;
mod vault_error;

pub use azure_json::{AzureJson, AzureJsonError};
pub use certificate::CertificateError;
pub use cloud::{Cloud, StackCloud, StackCloudError};
pub use config::{Config, Credential, HttpConfig, Proxy};
pub use difference::{Difference, DifferenceError};
pub use health::{LastResult, Operation};
pub use key::{KeyId, KeyName, KeyVersion, NameError, VaultName};
pub use known_versions::{KnownVersion, KnownVersionsError};
pub use plugin::{Plugin, Report, StartError};
pub use probes::{Probes, serve_metrics, serve_probes};
pub use secret::ClientSecret;
pub use service::{ServeError, serve};
pub use vault_error::{FailureClass, Origin, VaultClientError};
