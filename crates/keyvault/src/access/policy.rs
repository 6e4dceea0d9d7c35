//! Access policies: the older model, a list of permissions for each principal.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::access::permission::Permission;

/// What one principal may do in a vault whose model is access policies.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AccessPolicy {
    /// The principal's object id.
    pub object_id: Uuid,
    /// Permissions for keys.
    #[serde(default)]
    pub keys: Vec<KeyPermission>,
    /// Permissions for secrets.
    #[serde(default)]
    pub secrets: Vec<SecretPermission>,
}

impl AccessPolicy {
    pub(crate) fn allows(&self, permission: Permission) -> bool {
        match permission {
            Permission::Key(wanted) => self.keys.iter().any(|given| [wanted, KeyPermission::All].contains(given)),
            Permission::Secret(wanted) => {
                self.secrets.iter().any(|given| [wanted, SecretPermission::All].contains(given))
            }
        }
    }
}

/// A permission for keys, by ARM's name: camel case.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "each is named after the operation it permits")]
pub enum KeyPermission {
    All,
    Backup,
    Create,
    Decrypt,
    Delete,
    Encrypt,
    Get,
    Getrotationpolicy,
    Import,
    List,
    Purge,
    Recover,
    Release,
    Restore,
    Rotate,
    Setrotationpolicy,
    Sign,
    UnwrapKey,
    Update,
    Verify,
    WrapKey,
}

/// A permission for secrets, by ARM's name: camel case.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "each is named after the operation it permits")]
pub enum SecretPermission {
    All,
    Backup,
    Delete,
    Get,
    List,
    Purge,
    Recover,
    Restore,
    Set,
}

impl fmt::Display for KeyPermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        camel_case(&format!("{self:?}"), f)
    }
}

impl fmt::Display for SecretPermission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        camel_case(&format!("{self:?}"), f)
    }
}

fn camel_case(name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    write!(f, "{}{}", first.map(String::from).unwrap_or_default(), letters.as_str())
}
