//! What a request asks for, by the names of Key Vault's audit log.
//!
//! <https://learn.microsoft.com/azure/key-vault/general/logging>: the `operationName` of a record. The identity
//! endpoints are no part of that log; their names are ours.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An operation of the vault or of the identity endpoints.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub enum Operation {
    /// A request without a valid token: the 401 that a modern client starts with.
    Authentication,
    /// OpenID Connect discovery, instance discovery or the signing keys.
    EntraDiscovery,
    /// A token by client credentials.
    EntraToken,
    /// `GET /healthstatus`.
    Health,
    /// `POST /keys/{name}/backup`.
    KeyBackup,
    /// `POST /keys/{name}/create`.
    KeyCreate,
    /// `POST /keys/{name}/{version}/decrypt`.
    KeyDecrypt,
    /// `DELETE /keys/{name}`.
    KeyDelete,
    /// `POST /keys/{name}/{version}/encrypt`.
    KeyEncrypt,
    /// `GET /keys/{name}/{version}`.
    KeyGet,
    /// `GET /deletedkeys/{name}`.
    KeyGetDeleted,
    /// `PUT /keys/{name}`.
    KeyImport,
    /// `GET /keys`.
    KeyList,
    /// `GET /deletedkeys`.
    KeyListDeleted,
    /// `GET /keys/{name}/versions`.
    KeyListVersions,
    /// `DELETE /deletedkeys/{name}`.
    KeyPurge,
    /// `POST /deletedkeys/{name}/recover`.
    KeyRecover,
    /// `POST /keys/{name}/{version}/release`.
    KeyRelease,
    /// `POST /keys/restore`.
    KeyRestore,
    /// `POST /keys/{name}/rotate`.
    KeyRotate,
    /// `GET /keys/{name}/rotationpolicy`.
    KeyRotationPolicyGet,
    /// `PUT /keys/{name}/rotationpolicy`.
    KeyRotationPolicySet,
    /// `POST /keys/{name}/{version}/sign`.
    KeySign,
    /// `POST /keys/{name}/{version}/unwrapkey`.
    KeyUnwrap,
    /// `PATCH /keys/{name}/{version}`.
    KeyUpdate,
    /// `POST /keys/{name}/{version}/verify`.
    KeyVerify,
    /// `POST /keys/{name}/{version}/wrapkey`.
    KeyWrap,
    /// A token of a managed identity, in either form.
    ManagedIdentityToken,
    /// `POST /rng`; the name is ours.
    RandomBytesGet,
    /// `POST /secrets/{name}/backup`.
    SecretBackup,
    /// `DELETE /secrets/{name}`.
    SecretDelete,
    /// `GET /secrets/{name}/{version}`.
    SecretGet,
    /// `GET /deletedsecrets/{name}`.
    SecretGetDeleted,
    /// `GET /secrets`.
    SecretList,
    /// `GET /deletedsecrets`.
    SecretListDeleted,
    /// `GET /secrets/{name}/versions`.
    SecretListVersions,
    /// `DELETE /deletedsecrets/{name}`.
    SecretPurge,
    /// `POST /deletedsecrets/{name}/recover`.
    SecretRecover,
    /// `POST /secrets/restore`.
    SecretRestore,
    /// `PUT /secrets/{name}`.
    SecretSet,
    /// `PATCH /secrets/{name}/{version}`.
    SecretUpdate,
    /// A request that names no operation there is.
    Unknown,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The names are the variants' own.
        fmt::Debug::fmt(self, f)
    }
}
