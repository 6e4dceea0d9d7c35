//! Entra ID and managed identities, as far as a vault's client needs them: token endpoints, discovery, and the check of a
//! token at the vault.
//!
//! Imitates <https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow> and
//! <https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token>. Token lifetimes run on
//! real time, because clients cache tokens by their own clocks.

mod aadsts;
mod assertion;
mod audience;
mod bearer;
mod directory;
mod entra;
mod federation;
mod managed_identity;
mod signing_key;
mod token;

pub use assertion::{CertificateError, ClientCertificate};
pub(crate) use audience::Audience;
pub(crate) use bearer::{BearerError, Caller};
pub(crate) use directory::Directory;
pub(crate) use entra::{EntraRoute, LOGIN_HOSTS};
pub use federation::{FederatedCredential, IssuerKeys, IssuerKeysError};
pub(crate) use managed_identity::ManagedIdentityRoute;
pub(crate) use token::TokenAuthority;
