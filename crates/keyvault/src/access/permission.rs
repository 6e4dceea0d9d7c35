//! What each operation needs: an RBAC data action, and a permission of an access policy.
//!
//! The data actions are those of <https://learn.microsoft.com/azure/role-based-access-control/permissions/security>, the
//! permissions those of <https://learn.microsoft.com/rest/api/keyvault/keyvault/vaults/update-access-policy>.

use crate::access::policy::{KeyPermission, SecretPermission};
use crate::operation::Operation;

/// What an operation needs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Need {
    /// The RBAC data action, as a refusal names it.
    pub(crate) data_action: &'static str,
    /// The permission in an access policy.
    pub(crate) permission: Permission,
}

/// A permission of an access policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Permission {
    Key(KeyPermission),
    Secret(SecretPermission),
}

impl Need {
    /// What `operation` needs. `None`: nothing beyond a valid token, or it is no operation of a vault.
    ///
    /// `Assumed:` listing and reading what is deleted need what listing and reading need; random bytes, which only
    /// managed HSMs have, need an action of their own and no permission that a policy could give but `get`.
    pub(crate) fn of(operation: Operation) -> Option<Self> {
        use {KeyPermission as K, Operation as O, SecretPermission as S};
        let key = |data_action, permission| Some(Self { data_action, permission: Permission::Key(permission) });
        let secret = |data_action, permission| Some(Self { data_action, permission: Permission::Secret(permission) });
        match operation {
            O::Authentication
            | O::EntraDiscovery
            | O::EntraToken
            | O::Health
            | O::ManagedIdentityToken
            | O::Unknown => None,
            O::KeyBackup => key("Microsoft.KeyVault/vaults/keys/backup/action", K::Backup),
            O::KeyCreate => key("Microsoft.KeyVault/vaults/keys/create/action", K::Create),
            O::KeyDecrypt => key("Microsoft.KeyVault/vaults/keys/decrypt/action", K::Decrypt),
            O::KeyDelete => key("Microsoft.KeyVault/vaults/keys/delete", K::Delete),
            O::KeyEncrypt => key("Microsoft.KeyVault/vaults/keys/encrypt/action", K::Encrypt),
            O::KeyGet | O::KeyGetDeleted => key("Microsoft.KeyVault/vaults/keys/read", K::Get),
            O::KeyImport => key("Microsoft.KeyVault/vaults/keys/import/action", K::Import),
            O::KeyList | O::KeyListDeleted | O::KeyListVersions => key("Microsoft.KeyVault/vaults/keys/read", K::List),
            O::KeyPurge => key("Microsoft.KeyVault/vaults/keys/purge/action", K::Purge),
            O::KeyRecover => key("Microsoft.KeyVault/vaults/keys/recover/action", K::Recover),
            O::KeyRelease => key("Microsoft.KeyVault/vaults/keys/release/action", K::Release),
            O::KeyRestore => key("Microsoft.KeyVault/vaults/keys/restore/action", K::Restore),
            O::KeyRotate => key("Microsoft.KeyVault/vaults/keys/rotate/action", K::Rotate),
            O::KeyRotationPolicyGet => key("Microsoft.KeyVault/vaults/keyrotationpolicies/read", K::Getrotationpolicy),
            O::KeyRotationPolicySet => key("Microsoft.KeyVault/vaults/keyrotationpolicies/write", K::Setrotationpolicy),
            O::KeySign => key("Microsoft.KeyVault/vaults/keys/sign/action", K::Sign),
            O::KeyUnwrap => key("Microsoft.KeyVault/vaults/keys/unwrap/action", K::UnwrapKey),
            O::KeyUpdate => key("Microsoft.KeyVault/vaults/keys/update/action", K::Update),
            O::KeyVerify => key("Microsoft.KeyVault/vaults/keys/verify/action", K::Verify),
            O::KeyWrap => key("Microsoft.KeyVault/vaults/keys/wrap/action", K::WrapKey),
            O::RandomBytesGet => key("Microsoft.KeyVault/managedHsm/rng/action", K::Get),
            O::SecretBackup => secret("Microsoft.KeyVault/vaults/secrets/backup/action", S::Backup),
            O::SecretDelete => secret("Microsoft.KeyVault/vaults/secrets/delete", S::Delete),
            O::SecretGet => secret("Microsoft.KeyVault/vaults/secrets/getSecret/action", S::Get),
            O::SecretGetDeleted => secret("Microsoft.KeyVault/vaults/secrets/readMetadata/action", S::Get),
            O::SecretList | O::SecretListDeleted | O::SecretListVersions => {
                secret("Microsoft.KeyVault/vaults/secrets/readMetadata/action", S::List)
            }
            O::SecretPurge => secret("Microsoft.KeyVault/vaults/secrets/purge/action", S::Purge),
            O::SecretRecover => secret("Microsoft.KeyVault/vaults/secrets/recover/action", S::Recover),
            O::SecretRestore => secret("Microsoft.KeyVault/vaults/secrets/restore/action", S::Restore),
            O::SecretSet => secret("Microsoft.KeyVault/vaults/secrets/setSecret/action", S::Set),
            O::SecretUpdate => secret("Microsoft.KeyVault/vaults/secrets/update/action", S::Set),
        }
    }
}

impl Permission {
    /// The collection and the permission, as a refusal names them: `keys`, `decrypt`.
    pub(crate) fn words(self) -> (&'static str, String) {
        match self {
            Self::Key(permission) => ("keys", permission.to_string()),
            Self::Secret(permission) => ("secrets", permission.to_string()),
        }
    }
}
