//! Which operation of the vault a method and a path mean.
//!
//! The routes are those of the service contract, `Keys/routes.tsp` and `Secrets/routes.tsp`. Literals are compared without
//! regard to case (.NET sends `wrapKey`, others `wrapkey`), and a version may be absent or empty, which means the latest.

use http::Method;

use crate::http::api_error::ApiError;
use crate::http::api_version::ApiVersion;
use crate::http::assumed;
use crate::http::inbound::Inbound;
use crate::http::keys::{KeyCommand, KeyRoute};
use crate::http::secrets::{SecretCommand, SecretRoute};
use crate::operation::Operation;
use crate::vault::{ObjectKind, ObjectName, VaultError, VersionId};

/// An operation of the vault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Route {
    Key(KeyRoute),
    Secret(SecretRoute),
}

/// An operation with everything it needs. Not to be shown: its input may be a plaintext.
pub(super) enum Command {
    Key(KeyCommand),
    Secret(SecretCommand),
}

/// The version that a path names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum VersionRef {
    Id(VersionId),
    Latest,
    /// Text that is no version's id. `Assumed:` it is looked for, and not found.
    Unknown(String),
}

impl Route {
    /// Reads a method and the segments of a path.
    ///
    /// # Errors
    ///
    /// 400 `BadParameter` for a path or verb there is not and for an illegal name; 501 for what is not emulated.
    pub(super) fn parse(method: &Method, segments: &[String]) -> Result<Self, ApiError> {
        let lower: Vec<String> = segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
        let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
        match lower.as_slice() {
            ["keys" | "deletedkeys" | "rng", ..] => KeyRoute::parse(method, segments, &lower).map(Self::Key),
            ["secrets" | "deletedsecrets", ..] => SecretRoute::parse(method, segments, &lower).map(Self::Secret),
            ["certificates" | "deletedcertificates", ..] => Err(ApiError::not_emulated("Certificates are")),
            ["storage" | "deletedstorage", ..] => Err(ApiError::not_emulated("Managed storage accounts are")),
            _ => Err(unknown(method, segments)),
        }
    }

    /// What a request to it counts as.
    pub(super) fn operation(&self) -> Operation {
        match self {
            Self::Key(route) => route.operation(),
            Self::Secret(route) => route.operation(),
        }
    }

    /// Whether the protocol of this version has the operation.
    ///
    /// # Errors
    ///
    /// 400 `BadParameter` if it came later.
    pub(super) fn check_version(&self, method: &Method, version: &ApiVersion) -> Result<(), ApiError> {
        let newer = match self {
            Self::Key(route) => route.needs_rotation().filter(|_| !version.has_rotation()),
            Self::Secret(_) => None,
        };
        match newer {
            None => Ok(()),
            Some(name) => Err(ApiError::bad_parameter(assumed::method_not_allowed(method.as_str(), name))),
        }
    }
}

impl Command {
    /// Reads the rest of a request whose route is known.
    ///
    /// # Errors
    ///
    /// 400 `BadParameter` and its kin: whatever is wrong with query or body.
    pub(super) async fn read(route: Route, inbound: &mut Inbound) -> Result<Self, ApiError> {
        match route {
            Route::Key(route) => KeyCommand::read(route, inbound).await.map(Self::Key),
            Route::Secret(route) => SecretCommand::read(route, inbound).await.map(Self::Secret),
        }
    }
}

impl VersionRef {
    /// The version that a segment names.
    pub(super) fn parse(segment: &str) -> Self {
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
    /// [`VaultError::NotFound`] if no version can have this id.
    pub(super) fn resolve(&self, kind: ObjectKind, name: &ObjectName) -> Result<Option<VersionId>, VaultError> {
        match self {
            Self::Id(id) => Ok(Some(*id)),
            Self::Latest => Ok(None),
            Self::Unknown(text) => Err(VaultError::NotFound { kind, name: name.clone(), version: Some(text.clone()) }),
        }
    }
}

/// The name that a segment holds.
///
/// # Errors
///
/// 400 `BadParameter` if it breaks the rule.
pub(super) fn object_name(segment: &str) -> Result<ObjectName, ApiError> {
    segment.parse().map_err(|_| ApiError::bad_parameter(assumed::invalid_name(segment)))
}

/// The refusal of a path or verb there is not.
pub(super) fn unknown(method: &Method, segments: &[String]) -> ApiError {
    // What the service calls the operation is not known for all paths; the last literal it could be is the last segment.
    let operation = segments.last().map_or("", String::as_str);
    ApiError::bad_parameter(assumed::method_not_allowed(method.as_str(), operation))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::keys::Crypt;

    fn route(method: &str, path: &str) -> Result<Route, String> {
        let segments: Vec<_> = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Route::parse(&method.parse().unwrap(), &segments).map_err(|error| format!("{:?}", error.status()))
    }

    fn key(method: &str, path: &str) -> KeyRoute {
        match route(method, path) {
            Ok(Route::Key(route)) => route,
            other => panic!("{method} {path}: {other:?}"),
        }
    }

    fn kms() -> ObjectName {
        "kms".parse().unwrap()
    }

    #[test]
    fn a_version_may_be_named_absent_or_empty() {
        let id = "00ab34cd56ef78901234567890abcdef";
        let version = VersionRef::Id(id.parse().unwrap());
        let crypt = |version| KeyRoute::Crypt { crypt: Crypt::WrapKey, name: kms(), version };
        assert_eq!(key("POST", &format!("/keys/kms/{id}/wrapKey")), crypt(version.clone()));
        assert_eq!(key("POST", "/keys/kms//wrapkey"), crypt(VersionRef::Latest));
        assert_eq!(key("POST", "/KEYS/kms/WrapKey"), crypt(VersionRef::Latest));
        assert_eq!(key("GET", &format!("//keys/kms/{id}")), KeyRoute::Get { name: kms(), version: version.clone() });
        assert_eq!(key("GET", "/keys/kms/"), KeyRoute::Get { name: kms(), version: VersionRef::Latest });
        let unknown = VersionRef::Unknown("ABCD".to_owned());
        assert_eq!(key("PATCH", "/keys/kms/ABCD"), KeyRoute::Update { name: kms(), version: unknown });
        let secret = |version| Ok(Route::Secret(SecretRoute::Get { name: kms(), version }));
        assert_eq!(route("GET", &format!("/Secrets/kms/{id}/")), secret(version));
        assert_eq!(route("GET", "//secrets/kms"), secret(VersionRef::Latest));
    }

    #[test]
    fn verbs_tell_operations_apart() {
        let named = |name: &str| name.parse().unwrap();
        assert_eq!(key("DELETE", "/keys/kms"), KeyRoute::Delete { name: kms() });
        assert_eq!(key("DELETE", "/deletedkeys/kms"), KeyRoute::Purge { name: kms() });
        assert_eq!(key("GET", "/keys/versions/versions"), KeyRoute::ListVersions { name: named("versions") });
        assert_eq!(key("POST", "/keys/create/create"), KeyRoute::Create { name: named("create") });
        assert_eq!(key("POST", "/keys/restore"), KeyRoute::Restore);
        assert_eq!(key("PUT", "/keys/restore"), KeyRoute::Import { name: named("restore") });
        assert_eq!(key("PUT", "/keys/kms/rotationPolicy"), KeyRoute::SetRotationPolicy { name: kms() });
        assert_eq!(route("POST", "/secrets/restore"), Ok(Route::Secret(SecretRoute::Restore)));
        let set = SecretRoute::Set { name: named("restore") };
        assert_eq!(route("PUT", "/secrets/restore"), Ok(Route::Secret(set)));
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
            ("POST", "/secrets/s"),
            ("DELETE", "/secrets/s/00ab34cd56ef78901234567890abcdef"),
            ("GET", "/rng"),
        ] {
            assert_eq!(route(method, path), Err("400".to_owned()), "{method} {path}");
        }
        for (method, path) in [
            ("GET", "/keys/kms/x/attestation"),
            ("POST", "/keys/kms//securewrapkey"),
            ("GET", "/certificates/c/pending"),
            ("GET", "/deletedcertificates"),
            ("GET", "/storage"),
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
