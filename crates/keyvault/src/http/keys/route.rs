//! Which operation on keys a method and a path mean.

use http::Method;

use crate::http::api_error::ApiError;
use crate::http::route::{VersionRef, object_name, unknown};
use crate::operation::Operation;
use crate::vault::{KeyOperation, ObjectName};

/// An operation on the keys of a vault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::http) enum KeyRoute {
    Backup { name: ObjectName },
    Create { name: ObjectName },
    Crypt { crypt: Crypt, name: ObjectName, version: VersionRef },
    Delete { name: ObjectName },
    Get { name: ObjectName, version: VersionRef },
    GetDeleted { name: ObjectName },
    GetRotationPolicy { name: ObjectName },
    Import { name: ObjectName },
    List,
    ListDeleted,
    ListVersions { name: ObjectName },
    Purge { name: ObjectName },
    RandomBytes,
    Recover { name: ObjectName },
    Release { name: ObjectName, version: VersionRef },
    Restore,
    Rotate { name: ObjectName },
    SetRotationPolicy { name: ObjectName },
    Update { name: ObjectName, version: VersionRef },
}

/// The cryptographic operations.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::http) enum Crypt {
    Decrypt,
    Encrypt,
    Sign,
    UnwrapKey,
    Verify,
    WrapKey,
}

impl KeyRoute {
    /// Reads a method and the segments of a path, as they are and in lower case.
    ///
    /// # Errors
    ///
    /// 400 `BadParameter` for a path or verb there is not and for an illegal name; 501 for what is not emulated.
    pub(in crate::http) fn parse(method: &Method, segments: &[String], lower: &[&str]) -> Result<Self, ApiError> {
        let segment = |index: usize| segments.get(index).map_or("", String::as_str);
        let name = || object_name(segment(1));
        let version = || VersionRef::parse(segment(2));
        match (method.as_str(), lower) {
            ("GET", ["keys"]) => Ok(Self::List),
            ("POST", ["keys", "restore"]) => Ok(Self::Restore),
            ("GET", ["keys", _, "rotationpolicy"]) => Ok(Self::GetRotationPolicy { name: name()? }),
            ("PUT", ["keys", _, "rotationpolicy"]) => Ok(Self::SetRotationPolicy { name: name()? }),
            ("GET", ["keys", _, "versions"]) => Ok(Self::ListVersions { name: name()? }),
            ("GET", ["keys", _, "attestation"] | ["keys", _, _, "attestation"]) => {
                Err(ApiError::not_emulated("Key attestation is"))
            }
            ("GET", ["keys", _] | ["keys", _, _]) => Ok(Self::Get { name: name()?, version: version() }),
            ("PUT", ["keys", _]) => Ok(Self::Import { name: name()? }),
            ("PATCH", ["keys", _] | ["keys", _, _]) => Ok(Self::Update { name: name()?, version: version() }),
            ("DELETE", ["keys", _]) => Ok(Self::Delete { name: name()? }),
            ("POST", ["keys", _, "create"]) => Ok(Self::Create { name: name()? }),
            ("POST", ["keys", _, "rotate"]) => Ok(Self::Rotate { name: name()? }),
            ("POST", ["keys", _, "backup"]) => Ok(Self::Backup { name: name()? }),
            ("POST", ["keys", _, operation] | ["keys", _, _, operation]) => {
                let version = if lower.len() == 4 { version() } else { VersionRef::Latest };
                match *operation {
                    "release" => Ok(Self::Release { name: name()?, version }),
                    "securewrapkey" | "secureunwrapkey" => Err(ApiError::not_emulated("Secure key wrapping is")),
                    operation => match Crypt::parse(operation) {
                        Some(crypt) => Ok(Self::Crypt { crypt, name: name()?, version }),
                        None => Err(unknown(method, segments)),
                    },
                }
            }
            ("GET", ["deletedkeys"]) => Ok(Self::ListDeleted),
            ("GET", ["deletedkeys", _]) => Ok(Self::GetDeleted { name: name()? }),
            ("DELETE", ["deletedkeys", _]) => Ok(Self::Purge { name: name()? }),
            ("POST", ["deletedkeys", _, "recover"]) => Ok(Self::Recover { name: name()? }),
            ("POST", ["rng"]) => Ok(Self::RandomBytes),
            _ => Err(unknown(method, segments)),
        }
    }

    /// What a request to it counts as.
    pub(in crate::http) fn operation(&self) -> Operation {
        match self {
            Self::Backup { .. } => Operation::KeyBackup,
            Self::Create { .. } => Operation::KeyCreate,
            Self::Crypt { crypt: Crypt::Decrypt, .. } => Operation::KeyDecrypt,
            Self::Crypt { crypt: Crypt::Encrypt, .. } => Operation::KeyEncrypt,
            Self::Crypt { crypt: Crypt::Sign, .. } => Operation::KeySign,
            Self::Crypt { crypt: Crypt::UnwrapKey, .. } => Operation::KeyUnwrap,
            Self::Crypt { crypt: Crypt::Verify, .. } => Operation::KeyVerify,
            Self::Crypt { crypt: Crypt::WrapKey, .. } => Operation::KeyWrap,
            Self::Delete { .. } => Operation::KeyDelete,
            Self::Get { .. } => Operation::KeyGet,
            Self::GetDeleted { .. } => Operation::KeyGetDeleted,
            Self::GetRotationPolicy { .. } => Operation::KeyRotationPolicyGet,
            Self::Import { .. } => Operation::KeyImport,
            Self::List => Operation::KeyList,
            Self::ListDeleted => Operation::KeyListDeleted,
            Self::ListVersions { .. } => Operation::KeyListVersions,
            Self::Purge { .. } => Operation::KeyPurge,
            Self::RandomBytes => Operation::RandomBytesGet,
            Self::Recover { .. } => Operation::KeyRecover,
            Self::Release { .. } => Operation::KeyRelease,
            Self::Restore => Operation::KeyRestore,
            Self::Rotate { .. } => Operation::KeyRotate,
            Self::SetRotationPolicy { .. } => Operation::KeyRotationPolicySet,
            Self::Update { .. } => Operation::KeyUpdate,
        }
    }

    /// The name of an operation that came with rotation and release, in api-version 7.3; `None` for all others.
    pub(in crate::http) fn needs_rotation(&self) -> Option<&'static str> {
        match self {
            Self::GetRotationPolicy { .. } | Self::SetRotationPolicy { .. } => Some("rotationpolicy"),
            Self::RandomBytes => Some("rng"),
            Self::Release { .. } => Some("release"),
            Self::Rotate { .. } => Some("rotate"),
            _ => None,
        }
    }
}

impl Crypt {
    /// The operation with this name, given in lower case.
    fn parse(lower: &str) -> Option<Self> {
        match lower {
            "decrypt" => Some(Self::Decrypt),
            "encrypt" => Some(Self::Encrypt),
            "sign" => Some(Self::Sign),
            "unwrapkey" => Some(Self::UnwrapKey),
            "verify" => Some(Self::Verify),
            "wrapkey" => Some(Self::WrapKey),
            _ => None,
        }
    }

    /// What the key must allow.
    pub(super) fn key_operation(self) -> KeyOperation {
        match self {
            Self::Decrypt => KeyOperation::Decrypt,
            Self::Encrypt => KeyOperation::Encrypt,
            Self::Sign => KeyOperation::Sign,
            Self::UnwrapKey => KeyOperation::UnwrapKey,
            Self::Verify => KeyOperation::Verify,
            Self::WrapKey => KeyOperation::WrapKey,
        }
    }
}
