//! A local Azure Key Vault, and the Entra ID and managed-identity endpoints its clients need.
//!
//! One [`Emulator`] holds the vaults, their keys and the identities. [`serve_tls`] answers for all of Azure's names on one
//! TLS listener (`{vault}.vault.azure.net`, `login.microsoftonline.com`, and `localhost` for direct callers);
//! [`serve_plain`] answers as the instance metadata service, as App Service's identity endpoint, and as the proxy of the KMS
//! plugin's proxy mode. [`Control`] is the other
//! door: faults, counters and a look inside, as a Rust handle that the emulated protocol cannot reach.
//!
//! What is emulated, refused and assumed is listed in `docs/keyvault.md`. This protects nothing real.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use keyvault::{Config, Emulator, VaultConfig, serve_plain};
//! use tokio::net::TcpListener;
//! use tokio_util::sync::CancellationToken;
//!
//! let emulator = Emulator::open(Config {
//!     vaults: vec![VaultConfig::new("kyanite".parse()?)],
//!     ..Config::new("11111111-1111-4111-8111-111111111111".parse()?, clock::Clock::new())
//! })?;
//! let listener = TcpListener::bind("127.0.0.1:0").await?;
//! let shutdown = CancellationToken::new();
//! let server = tokio::spawn(serve_plain(listener, emulator.clone(), shutdown.clone()));
//! assert_eq!(emulator.control().vaults().len(), 1);
//! shutdown.cancel();
//! server.await?;
//! # Ok(())
//! # }
//! ```

mod access;
mod audit;
mod chain;
mod config;
mod control;
mod emulator;
mod faults;
mod http;
mod identity;
mod journal;
mod limits;
mod network;
mod operation;
mod seed;
mod server;
mod storage;
mod vault;

pub use access::{
    AccessModel, AccessPolicy, AssignmentId, KeyPermission, Role, RoleAssignment, RoleScope, SecretPermission,
    UnknownRole,
};
pub use audit::{AuditClaim, AuditIdentity, AuditProperties, AuditRecord, EventData, GridEvent};
pub use config::{Config, ConfigError, Principal, PrincipalKind, Secret, VaultConfig, VaultKind};
pub use control::{Control, ControlCommand, ControlError, KeyInfo, KeyVersionInfo, VaultInfo};
pub use emulator::Emulator;
pub use faults::{Fault, FaultEffect, FaultError, FaultId, FaultTarget, InjectedFault};
pub use identity::{CertificateError, ClientCertificate, FederatedCredential, IssuerKeys, IssuerKeysError};
pub use journal::{RequestCount, RequestRecord};
pub use limits::Limits;
pub use network::{Bypass, DefaultAction, IpRule, IpRuleError, NetworkRules, Place, PublicAccess};
pub use operation::Operation;
pub use seed::{Contents, Seed, SeedError, VaultSeed};
pub use server::{serve_plain, serve_tls, serve_tls_at};
pub use storage::OpenError;
pub use vault::{NameError, RecoveryPolicy, RetentionError, Sku, VaultName};
