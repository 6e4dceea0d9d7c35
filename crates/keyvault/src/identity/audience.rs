//! For whom a token is: the resources that Entra issues tokens for here, which are all the vault.
//!
//! Key Vault accepts `https://vault.azure.net` and the id of its own application. A caller who reaches a vault by a port of
//! its own, `https://kyanite.vault.azure.net:8443`, is challenged for `https://vault.azure.net:8443`, since the SDKs demand
//! that the resource be the parent of the vault's own host; so that port may stand there too.

use std::fmt;

use crate::config::VaultKind;

/// The resource of a request for a token, exactly as it was named: it becomes the token's `aud`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Audience(String);

impl Audience {
    /// The audience of a vault that its caller reaches on `port` (`None`: 443).
    pub(crate) fn of_vault(kind: VaultKind, port: Option<u16>) -> Self {
        let zone = kind.dns_suffix();
        Self(match port {
            None => format!("https://{zone}"),
            Some(port) => format!("https://{zone}:{port}"),
        })
    }

    /// The resource of a v1 or managed-identity request, if it is one that tokens are issued for.
    ///
    /// A trailing slash is accepted, as Entra does, and stays in the token, where the vault refuses it, as Key Vault does.
    pub(super) fn from_resource(resource: &str) -> Option<Self> {
        let bare = resource.strip_suffix('/').unwrap_or(resource);
        let zone =
            VaultKind::ALL.into_iter().find_map(|kind| bare.strip_prefix("https://")?.strip_prefix(kind.dns_suffix()));
        let known = match zone {
            Some("") => true,
            Some(rest) => rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok()),
            None => bare.eq_ignore_ascii_case(VAULT_APPLICATION_ID),
        };
        known.then(|| Self(resource.to_owned()))
    }

    /// The resource of a v2 scope, `{resource}/.default`.
    pub(super) fn from_scope(scope: &str) -> Option<Self> {
        let resource = scope.strip_suffix("/.default")?;
        Self::from_resource(resource)
    }

    /// Whether this is Key Vault by the id of its application: such a token is of version 2.0.
    pub(super) fn is_application_id(&self) -> bool {
        self.0.eq_ignore_ascii_case(VAULT_APPLICATION_ID)
    }

    /// Whether a vault with this audience accepts a token for `found`.
    pub(super) fn accepts(&self, found: &str) -> bool {
        let (scheme, zone) = self.0.split_once("//").unwrap_or_default();
        let without_port = zone.split(':').next().unwrap_or_default();
        let is_vault = without_port == VaultKind::Vault.dns_suffix();
        found == self.0
            || found == format!("{scheme}//{without_port}")
            || (is_vault && found.eq_ignore_ascii_case(VAULT_APPLICATION_ID))
    }

    /// The resource's URL or id.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Key Vault's own application in every tenant.
const VAULT_APPLICATION_ID: &str = "cfa8b339-82a2-471a-a3c9-0fc0be7a4093";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_vault_is_a_resource() {
        let known = |resource| Audience::from_resource(resource).map(|audience| audience.to_string());
        for resource in [
            "https://vault.azure.net",
            "https://vault.azure.net/",
            "https://vault.azure.net:8443",
            "https://managedhsm.azure.net",
            VAULT_APPLICATION_ID,
        ] {
            assert_eq!(known(resource).as_deref(), Some(resource));
        }
        for resource in [
            "",
            "/",
            "https://vault.azure.net.evil.example",
            "https://vault.azure.net:x",
            "https://vault.azure.net:",
            "http://vault.azure.net",
            "https://kyanite.vault.azure.net",
            "https://management.azure.com",
        ] {
            assert_eq!(known(resource), None, "{resource}");
        }
        assert_eq!(
            Audience::from_scope("https://vault.azure.net/.default"),
            Some(Audience::of_vault(VaultKind::Vault, None))
        );
        assert_eq!(Audience::from_scope("https://vault.azure.net/user_impersonation"), None);
    }

    #[test]
    fn a_trailing_slash_is_issued_but_not_accepted() {
        let vault = Audience::of_vault(VaultKind::Vault, None);
        assert!(vault.accepts("https://vault.azure.net"));
        assert!(vault.accepts(VAULT_APPLICATION_ID));
        assert!(!vault.accepts("https://vault.azure.net/"));
        assert!(!vault.accepts("https://vault.azure.net:8443"));
        assert!(Audience::of_vault(VaultKind::Vault, Some(8443)).accepts("https://vault.azure.net:8443"));
        let hsm = Audience::of_vault(VaultKind::ManagedHsm, None);
        assert!(hsm.accepts("https://managedhsm.azure.net") && !hsm.accepts("https://vault.azure.net"));
        assert!(!vault.accepts("https://managedhsm.azure.net") && !hsm.accepts(VAULT_APPLICATION_ID));
    }
}
