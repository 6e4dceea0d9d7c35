//! Which operation of the vault a method and a path mean.
//!
//! The routes are those of the service contract, `Keys/routes.tsp`. Literals are compared without regard to case (.NET sends
//! `wrapKey`, others `wrapkey`), and a version may be absent or empty, which means the latest.

use http::Method;

use crate::http::api_error::ApiError;
use crate::http::assumed;
use crate::operation::Operation;
use crate::vault::{KeyName, KeyOperation, VaultError, VersionId};

/// An operation on the keys of a vault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum KeyRoute {
    Create { name: KeyName },
    Crypt { crypt: Crypt, name: KeyName, version: VersionRef },
    Delete { name: KeyName },
    Get { name: KeyName, version: VersionRef },
    GetDeleted { name: KeyName },
    List,
    ListDeleted,
    ListVersions { name: KeyName },
    Purge { name: KeyName },
    Recover { name: KeyName },
    Rotate { name: KeyName },
    Update { name: KeyName, version: VersionRef },
}

/// The four cryptographic operations there are for RSA keys so far.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Crypt {
    Decrypt,
    Encrypt,
    UnwrapKey,
    WrapKey,
}

/// The version that a path names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum VersionRef {
    Id(VersionId),
    Latest,
    /// Text that is no version's id. `Assumed:` it is looked for, and not found.
    Unknown(String),
}

impl KeyRoute {
    /// Reads a method and the segments of a path.
    ///
    /// # Errors
    ///
    /// 400 `BadParameter` for a path or verb there is not and for an illegal name; 501 for what is not emulated.
    pub(super) fn parse(method: &Method, segments: &[String]) -> Result<Self, ApiError> {
        let lower: Vec<String> = segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        let segment = |index: usize| segments.get(index).map_or("", String::as_str);
        let name =
            || segment(1).parse::<KeyName>().map_err(|_| ApiError::bad_parameter(assumed::invalid_name(segment(1))));
        let version = || VersionRef::parse(segment(2));
        match (method.as_str(), lower.as_slice()) {
            ("GET", ["keys"]) => Ok(Self::List),
            ("POST", ["keys", "restore"]) => Err(ApiError::not_emulated("Restoring keys is")),
            ("GET" | "PUT", ["keys", _, "rotationpolicy"]) => Err(ApiError::not_emulated("Rotation policies are")),
            ("GET", ["keys", _, "versions"]) => Ok(Self::ListVersions { name: name()? }),
            ("GET", ["keys", _] | ["keys", _, _]) => Ok(Self::Get { name: name()?, version: version() }),
            ("PUT", ["keys", _]) => Err(ApiError::not_emulated("Importing keys is")),
            ("PATCH", ["keys", _] | ["keys", _, _]) => Ok(Self::Update { name: name()?, version: version() }),
            ("DELETE", ["keys", _]) => Ok(Self::Delete { name: name()? }),
            ("POST", ["keys", _, "create"]) => Ok(Self::Create { name: name()? }),
            ("POST", ["keys", _, "rotate"]) => Ok(Self::Rotate { name: name()? }),
            ("POST", ["keys", _, "backup"]) => Err(ApiError::not_emulated("Backing up keys is")),
            ("POST", ["keys", _, operation] | ["keys", _, _, operation]) => {
                let version = if lower.len() == 4 { version() } else { VersionRef::Latest };
                match *operation {
                    "sign" | "verify" => Err(ApiError::not_emulated("Signing and verifying are")),
                    "release" => Err(ApiError::not_emulated("Releasing keys is")),
                    "securewrapkey" | "secureunwrapkey" => Err(ApiError::not_emulated("Secure key wrapping is")),
                    operation => match Crypt::parse(operation) {
                        Some(crypt) => Ok(Self::Crypt { crypt, name: name()?, version }),
                        None => Err(unknown(method, segments)),
                    },
                }
            }
            ("GET", ["keys", _, _, "attestation"]) => Err(ApiError::not_emulated("Key attestation is")),
            ("GET", ["deletedkeys"]) => Ok(Self::ListDeleted),
            ("GET", ["deletedkeys", _]) => Ok(Self::GetDeleted { name: name()? }),
            ("DELETE", ["deletedkeys", _]) => Ok(Self::Purge { name: name()? }),
            ("POST", ["deletedkeys", _, "recover"]) => Ok(Self::Recover { name: name()? }),
            (_, ["secrets" | "deletedsecrets", ..]) => Err(ApiError::not_emulated("Secrets are")),
            (_, ["certificates" | "deletedcertificates", ..]) => Err(ApiError::not_emulated("Certificates are")),
            (_, ["storage" | "deletedstorage", ..]) => Err(ApiError::not_emulated("Managed storage accounts are")),
            ("POST", ["rng"]) => Err(ApiError::not_emulated("Random bytes are")),
            _ => Err(unknown(method, segments)),
        }
    }

    /// What a request to it counts as.
    pub(super) fn operation(&self) -> Operation {
        match self {
            Self::Create { .. } => Operation::KeyCreate,
            Self::Crypt { crypt: Crypt::Decrypt, .. } => Operation::KeyDecrypt,
            Self::Crypt { crypt: Crypt::Encrypt, .. } => Operation::KeyEncrypt,
            Self::Crypt { crypt: Crypt::UnwrapKey, .. } => Operation::KeyUnwrap,
            Self::Crypt { crypt: Crypt::WrapKey, .. } => Operation::KeyWrap,
            Self::Delete { .. } => Operation::KeyDelete,
            Self::Get { .. } => Operation::KeyGet,
            Self::GetDeleted { .. } => Operation::KeyGetDeleted,
            Self::List => Operation::KeyList,
            Self::ListDeleted => Operation::KeyListDeleted,
            Self::ListVersions { .. } => Operation::KeyListVersions,
            Self::Purge { .. } => Operation::KeyPurge,
            Self::Recover { .. } => Operation::KeyRecover,
            Self::Rotate { .. } => Operation::KeyRotate,
            Self::Update { .. } => Operation::KeyUpdate,
        }
    }
}

impl Crypt {
    /// The operation with this name, given in lower case.
    fn parse(lower: &str) -> Option<Self> {
        match lower {
            "decrypt" => Some(Self::Decrypt),
            "encrypt" => Some(Self::Encrypt),
            "unwrapkey" => Some(Self::UnwrapKey),
            "wrapkey" => Some(Self::WrapKey),
            _ => None,
        }
    }

    /// What the key must allow.
    pub(super) fn key_operation(self) -> KeyOperation {
        match self {
            Self::Decrypt => KeyOperation::Decrypt,
            Self::Encrypt => KeyOperation::Encrypt,
            Self::UnwrapKey => KeyOperation::UnwrapKey,
            Self::WrapKey => KeyOperation::WrapKey,
        }
    }
}

impl VersionRef {
    fn parse(segment: &str) -> Self {
        match segment.parse() {
            Ok(id) => Self::Id(id),
            Err(_) if segment.is_empty() => Self::Latest,
            Err(_) => Self::Unknown(segment.to_owned()),
        }
    }

    /// The id to look for; `None` is the latest.
    ///
    /// # Errors
    ///
    /// [`VaultError::KeyNotFound`] if no version can have this id.
    pub(super) fn resolve(&self, name: &KeyName) -> Result<Option<VersionId>, VaultError> {
        match self {
            Self::Id(id) => Ok(Some(*id)),
            Self::Latest => Ok(None),
            Self::Unknown(text) => Err(VaultError::KeyNotFound { name: name.clone(), version: Some(text.clone()) }),
        }
    }
}

fn unknown(method: &Method, segments: &[String]) -> ApiError {
    // What the service calls the operation is not known for all paths; the last literal it could be is the last segment.
    let operation = segments.last().map_or("", String::as_str);
    ApiError::bad_parameter(assumed::method_not_allowed(method.as_str(), operation))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn route(method: &str, path: &str) -> Result<KeyRoute, String> {
        let segments: Vec<_> = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        KeyRoute::parse(&method.parse().unwrap(), &segments).map_err(|error| format!("{:?}", error.status()))
    }

    fn kms() -> KeyName {
        "kms".parse().unwrap()
    }

    #[test]
    fn a_version_may_be_named_absent_or_empty() {
        let id = "00ab34cd56ef78901234567890abcdef";
        let version = VersionRef::Id(id.parse().unwrap());
        let crypt = |version| KeyRoute::Crypt { crypt: Crypt::WrapKey, name: kms(), version };
        assert_eq!(route("POST", &format!("/keys/kms/{id}/wrapKey")), Ok(crypt(version.clone())));
        assert_eq!(route("POST", "/keys/kms//wrapkey"), Ok(crypt(VersionRef::Latest)));
        assert_eq!(route("POST", "/KEYS/kms/WrapKey"), Ok(crypt(VersionRef::Latest)));
        assert_eq!(route("GET", &format!("//keys/kms/{id}")), Ok(KeyRoute::Get { name: kms(), version }));
        assert_eq!(route("GET", "/keys/kms/"), Ok(KeyRoute::Get { name: kms(), version: VersionRef::Latest }));
        let unknown = VersionRef::Unknown("ABCD".to_owned());
        assert_eq!(route("PATCH", "/keys/kms/ABCD"), Ok(KeyRoute::Update { name: kms(), version: unknown }));
    }

    #[test]
    fn verbs_tell_operations_apart() {
        assert_eq!(route("DELETE", "/keys/kms"), Ok(KeyRoute::Delete { name: kms() }));
        assert_eq!(route("DELETE", "/deletedkeys/kms"), Ok(KeyRoute::Purge { name: kms() }));
        assert_eq!(
            route("GET", "/keys/versions/versions"),
            Ok(KeyRoute::ListVersions { name: "versions".parse().unwrap() })
        );
        assert_eq!(route("POST", "/keys/create/create"), Ok(KeyRoute::Create { name: "create".parse().unwrap() }));
    }

    #[test]
    fn what_is_not_there_is_refused() {
        for (method, path) in [
            ("GET", "/"),
            ("POST", "/keys"),
            ("PUT", "/deletedkeys/kms"),
            ("GET", "/keys/a b"),
            ("POST", "/keys/kms/frobnicate"),
            ("BREW", "/keys/kms"),
        ] {
            assert_eq!(route(method, path), Err("400".to_owned()), "{method} {path}");
        }
        for (method, path) in [
            ("PUT", "/keys/kms"),
            ("GET", "/secrets"),
            ("POST", "/keys/restore"),
            ("POST", "/keys/kms//sign"),
            ("GET", "/certificates/c/pending"),
        ] {
            assert_eq!(route(method, path), Err("501".to_owned()), "{method} {path}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(method in "[A-Z]{1,8}", path in "/?(keys|deletedkeys|secrets|.*)/.*(/.*)?") {
            let _ = route(&method, &path);
        }
    }
}
