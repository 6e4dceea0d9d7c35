//! The built-in roles of Key Vault and their data actions.
//!
//! <https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/security>. Actions of the management plane are
//! no business of a vault: Contributor and Purge Operator can do nothing here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::{Uuid, uuid};

/// A built-in role. As text it is its display name; its id is understood too.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Role {
    /// Everything in the vault.
    Administrator,
    /// The management plane only: no data action.
    Contributor,
    /// Everything with keys but permissions.
    CryptoOfficer,
    /// Releases keys into attested environments.
    CryptoServiceReleaseUser,
    /// Reads keys, wraps and unwraps. Not enough for the KMS plugin, which encrypts and decrypts.
    CryptoServiceEncryptionUser,
    /// All cryptographic operations, and what goes with them.
    CryptoUser,
    /// Purges deleted vaults: no data action.
    PurgeOperator,
    /// Reads metadata of everything.
    Reader,
    /// Everything with secrets but permissions.
    SecretsOfficer,
    /// Reads secrets.
    SecretsUser,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Administrator,
        Self::Contributor,
        Self::CryptoOfficer,
        Self::CryptoServiceReleaseUser,
        Self::CryptoServiceEncryptionUser,
        Self::CryptoUser,
        Self::PurgeOperator,
        Self::Reader,
        Self::SecretsOfficer,
        Self::SecretsUser,
    ];

    /// The id of its definition, the same in every tenant.
    ///
    /// `Assumed:` that of Contributor, which is commonly known and was not checked.
    pub fn id(self) -> Uuid {
        match self {
            Self::Administrator => uuid!("00482a5a-887f-4fb3-b363-3b7fe8e74483"),
            Self::Contributor => uuid!("f25e0fa2-a7cd-4377-a976-54943a77a395"),
            Self::CryptoOfficer => uuid!("14b46e9e-c2b7-41b4-b07b-48a6ebf60603"),
            Self::CryptoServiceReleaseUser => uuid!("08bbd89e-9f13-488c-ac41-acfcb10c90ab"),
            Self::CryptoServiceEncryptionUser => uuid!("e147488a-f6f5-4113-8e2d-b22465e65bf6"),
            Self::CryptoUser => uuid!("12338af0-0e69-4776-bea7-57ae8d297424"),
            Self::PurgeOperator => uuid!("a68e7c17-0ab2-4c09-9a58-125dae29748c"),
            Self::Reader => uuid!("21090545-7ca7-4776-b22c-e363652d74d2"),
            Self::SecretsOfficer => uuid!("b86a8fe4-44ce-4948-aee5-eccb2c155cd7"),
            Self::SecretsUser => uuid!("4633458b-17de-408a-b874-0445c86b69e6"),
        }
    }

    /// Its display name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Administrator => "Key Vault Administrator",
            Self::Contributor => "Key Vault Contributor",
            Self::CryptoOfficer => "Key Vault Crypto Officer",
            Self::CryptoServiceReleaseUser => "Key Vault Crypto Service Release User",
            Self::CryptoServiceEncryptionUser => "Key Vault Crypto Service Encryption User",
            Self::CryptoUser => "Key Vault Crypto User",
            Self::PurgeOperator => "Key Vault Purge Operator",
            Self::Reader => "Key Vault Reader",
            Self::SecretsOfficer => "Key Vault Secrets Officer",
            Self::SecretsUser => "Key Vault Secrets User",
        }
    }

    /// Whether one of its data actions covers `data_action`. Compared without regard to case, as Azure does.
    pub(crate) fn allows(self, data_action: &str) -> bool {
        self.data_actions().iter().any(|pattern| covers(pattern, data_action))
    }

    /// Patterns after `Microsoft.KeyVault/`; a star stands for any text.
    fn data_actions(self) -> &'static [&'static str] {
        match self {
            // Managed HSMs have roles of their own on Azure; here the administrator's covers them.
            Self::Administrator => &["vaults/*", "managedHsm/*"],
            Self::Contributor | Self::PurgeOperator => &[],
            Self::CryptoOfficer => &["vaults/keys/*", "vaults/keyrotationpolicies/*", "managedHsm/rng/action"],
            Self::CryptoServiceReleaseUser => &["vaults/keys/release/action"],
            Self::CryptoServiceEncryptionUser => {
                &["vaults/keys/read", "vaults/keys/wrap/action", "vaults/keys/unwrap/action"]
            }
            Self::CryptoUser => &[
                "vaults/keys/read",
                "vaults/keys/update/action",
                "vaults/keys/backup/action",
                "vaults/keys/encrypt/action",
                "vaults/keys/decrypt/action",
                "vaults/keys/wrap/action",
                "vaults/keys/unwrap/action",
                "vaults/keys/sign/action",
                "vaults/keys/verify/action",
                "managedHsm/rng/action",
            ],
            Self::Reader => &["vaults/*/read", "vaults/secrets/readMetadata/action"],
            Self::SecretsOfficer => &["vaults/secrets/*"],
            Self::SecretsUser => &["vaults/secrets/getSecret/action", "vaults/secrets/readMetadata/action"],
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let id = Uuid::try_parse(text).ok();
        let found = Self::ALL.into_iter().find(|role| id == Some(role.id()) || role.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| UnknownRole { text: text.to_owned() })
    }
}

impl TryFrom<String> for Role {
    type Error = UnknownRole;

    fn try_from(text: String) -> Result<Self, UnknownRole> {
        text.parse()
    }
}

impl From<Role> for String {
    fn from(role: Role) -> Self {
        role.name().to_owned()
    }
}

/// Text that names no built-in role.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("find the role {text:?} among the built-in ones of Key Vault, such as Key Vault Crypto User")]
pub struct UnknownRole {
    text: String,
}

/// Whether a pattern with at most one star covers an action of Key Vault.
fn covers(pattern: &str, data_action: &str) -> bool {
    let Some((provider, action)) = data_action.split_once('/') else { return false };
    if !provider.eq_ignore_ascii_case("Microsoft.KeyVault") {
        return false;
    }
    let (action, pattern) = (action.to_ascii_lowercase(), pattern.to_ascii_lowercase());
    match pattern.split_once('*') {
        None => action == pattern,
        Some((start, end)) => {
            action.len() >= start.len() + end.len() && action.starts_with(start) && action.ends_with(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Need;
    use crate::operation::Operation;

    /// Which of some telling operations each role may do.
    #[test]
    fn roles_do_what_their_documentation_says() {
        use Operation as O;
        let all = [O::KeyGet, O::KeyEncrypt, O::KeyWrap, O::KeyRelease, O::KeyCreate, O::KeyPurge].into_iter().chain([
            O::KeyRotationPolicySet,
            O::SecretGet,
            O::SecretSet,
            O::SecretList,
        ]);
        let table: Vec<_> = Role::ALL
            .into_iter()
            .map(|role| {
                let may = all.clone().filter(|operation| role.allows(Need::of(*operation).unwrap().data_action));
                format!("{role}: {}", may.map(|operation| operation.to_string()).collect::<Vec<_>>().join(" "))
            })
            .collect();
        insta::assert_snapshot!(table.join("\n"), @"
        Key Vault Administrator: KeyGet KeyEncrypt KeyWrap KeyRelease KeyCreate KeyPurge KeyRotationPolicySet SecretGet SecretSet SecretList
        Key Vault Contributor: 
        Key Vault Crypto Officer: KeyGet KeyEncrypt KeyWrap KeyRelease KeyCreate KeyPurge KeyRotationPolicySet
        Key Vault Crypto Service Release User: KeyRelease
        Key Vault Crypto Service Encryption User: KeyGet KeyWrap
        Key Vault Crypto User: KeyGet KeyEncrypt KeyWrap
        Key Vault Purge Operator: 
        Key Vault Reader: KeyGet SecretList
        Key Vault Secrets Officer: SecretGet SecretSet SecretList
        Key Vault Secrets User: SecretGet SecretList
        ");
    }

    #[test]
    fn a_role_is_named_by_name_or_id() {
        for role in Role::ALL {
            assert_eq!(role.name().to_uppercase().parse(), Ok(role));
            assert_eq!(role.id().to_string().parse(), Ok(role));
        }
        assert!("Owner".parse::<Role>().is_err());
        assert!(serde_json::from_str::<Role>("\"Owner\"").is_err());
    }
}
