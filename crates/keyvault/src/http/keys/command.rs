//! A request about keys, read to its end and checked in itself: nothing below sees raw JSON.

use std::sync::Arc;

use serde::Deserialize;

use crate::http::api_error::ApiError;
use crate::http::assumed;
use crate::http::body::{AttributesRequest, BackupValue, checked_tags, invalid, json};
use crate::http::inbound::Inbound;
use crate::http::keys::crypt::{CryptInput, CryptRequest};
use crate::http::keys::import::ImportRequest;
use crate::http::keys::key_type;
use crate::http::keys::rotation::{RotationPolicyDraft, RotationPolicyWire};
use crate::http::keys::route::{Crypt, KeyRoute};
use crate::http::keys::wire::{CreateRequest, ReleasePolicyWire, UpdateRequest};
use crate::http::page::Page;
use crate::http::route::VersionRef;
use crate::vault::{KeyMaterial, KeyOperation, KeyType, ObjectName, Patch, ReleasePolicy, Tags, Validity};

/// An operation with everything it needs. Not to be shown: its input may be a plaintext.
pub(in crate::http) enum KeyCommand {
    Backup { name: ObjectName },
    Create { name: ObjectName, key_type: KeyType, draft: VersionDraft },
    Crypt { crypt: Crypt, name: ObjectName, version: VersionRef, input: CryptInput },
    Delete { name: ObjectName },
    Get { name: ObjectName, version: VersionRef },
    GetDeleted { name: ObjectName },
    GetRotationPolicy { name: ObjectName },
    Import { name: ObjectName, material: Arc<KeyMaterial>, hsm: bool, draft: VersionDraft },
    List { page: Page },
    ListDeleted { page: Page },
    ListVersions { name: ObjectName, page: Page },
    Purge { name: ObjectName },
    RandomBytes { count: usize },
    Recover { name: ObjectName },
    Release { name: ObjectName, version: VersionRef },
    Restore { blob: Vec<u8> },
    Rotate { name: ObjectName },
    SetRotationPolicy { name: ObjectName, policy: RotationPolicyDraft },
    Update { name: ObjectName, version: VersionRef, patch: Patch },
}

/// What a caller says of a version to be made, whatever its material.
pub(in crate::http) struct VersionDraft {
    /// `None`: what its type allows by default.
    pub(super) operations: Option<Vec<KeyOperation>>,
    pub(super) validity: Validity,
    pub(super) tags: Option<Tags>,
    pub(super) release_policy: Option<ReleasePolicy>,
}

impl KeyCommand {
    /// Reads the rest of a request whose route is known.
    ///
    /// # Errors
    ///
    /// 400 `BadParameter` and its kin: whatever is wrong with query or body.
    pub(in crate::http) async fn read(route: KeyRoute, inbound: &mut Inbound) -> Result<Self, ApiError> {
        Ok(match route {
            KeyRoute::Backup { name } => Self::Backup { name },
            KeyRoute::Create { name } => Self::create(name, json(inbound).await?)?,
            KeyRoute::Crypt { crypt, name, version } => {
                let request: CryptRequest = json(inbound).await?;
                Self::Crypt { crypt, name, version, input: request.read(crypt)? }
            }
            KeyRoute::Delete { name } => Self::Delete { name },
            KeyRoute::Get { name, version } => Self::Get { name, version },
            KeyRoute::GetDeleted { name } => Self::GetDeleted { name },
            KeyRoute::GetRotationPolicy { name } => Self::GetRotationPolicy { name },
            KeyRoute::Import { name } => Self::import(name, json(inbound).await?)?,
            KeyRoute::List => Self::List { page: Page::read(inbound)? },
            KeyRoute::ListDeleted => Self::ListDeleted { page: Page::read(inbound)? },
            KeyRoute::ListVersions { name } => Self::ListVersions { name, page: Page::read(inbound)? },
            KeyRoute::Purge { name } => Self::Purge { name },
            KeyRoute::RandomBytes => {
                let request: RandomBytesRequest = json(inbound).await?;
                Self::RandomBytes { count: request.read()? }
            }
            KeyRoute::Recover { name } => Self::Recover { name },
            KeyRoute::Release { name, version } => Self::Release { name, version },
            KeyRoute::Restore => Self::Restore { blob: json::<BackupValue>(inbound).await?.decode()? },
            KeyRoute::Rotate { name } => Self::Rotate { name },
            KeyRoute::SetRotationPolicy { name } => {
                let request: RotationPolicyWire = json(inbound).await?;
                Self::SetRotationPolicy { name, policy: request.read()? }
            }
            KeyRoute::Update { name, version } => Self::update(name, version, json(inbound).await?)?,
        })
    }

    fn create(name: ObjectName, request: CreateRequest) -> Result<Self, ApiError> {
        let key_type = key_type::read(request.kty.as_deref(), request.crv.as_deref(), request.key_size)?;
        if request.public_exponent.is_some_and(|exponent| exponent != 65_537) {
            return Err(ApiError::bad_parameter(assumed::PUBLIC_EXPONENT));
        }
        let draft =
            VersionDraft::read(request.key_ops.as_deref(), request.attributes, request.tags, request.release_policy)?;
        Ok(Self::Create { name, key_type, draft })
    }

    fn import(name: ObjectName, request: ImportRequest) -> Result<Self, ApiError> {
        let key = request.key.ok_or_else(|| ApiError::bad_parameter(assumed::property_missing("key")))?;
        let operations = key.key_ops.clone();
        let (material, hsm) = key.material()?;
        let hsm = hsm || request.hsm == Some(true);
        let draft =
            VersionDraft::read(operations.as_deref(), request.attributes, request.tags, request.release_policy)?;
        Ok(Self::Import { name, material: Arc::new(material), hsm, draft })
    }

    fn update(name: ObjectName, version: VersionRef, request: UpdateRequest) -> Result<Self, ApiError> {
        let patch = Patch {
            operations: request.key_ops.as_deref().map(operations).transpose()?,
            validity: AttributesRequest::validity(request.attributes)?,
            tags: checked_tags(request.tags)?,
            release_policy: request.release_policy.map(ReleasePolicyWire::read).transpose()?,
        };
        Ok(Self::Update { name, version, patch })
    }
}

impl VersionDraft {
    /// `Assumed:` the texts but for the captured one.
    fn read(
        names: Option<&[String]>,
        attributes: Option<AttributesRequest>,
        tags: Option<Tags>,
        policy: Option<ReleasePolicyWire>,
    ) -> Result<Self, ApiError> {
        let is_exportable = attributes.and_then(|attributes| attributes.exportable) == Some(true);
        match (is_exportable, &policy) {
            // Captured: Azure/azure-cli#28288.
            (false, Some(_)) => {
                return Err(ApiError::bad_parameter("AKV.SKR.1005: Non-exportable keys must not have release policy"));
            }
            (true, None) => return Err(ApiError::bad_parameter(assumed::EXPORTABLE_WITHOUT_POLICY)),
            (true, Some(_)) | (false, None) => {}
        }
        Ok(Self {
            operations: names.map(operations).transpose()?,
            validity: AttributesRequest::validity(attributes)?,
            tags: checked_tags(tags)?,
            release_policy: policy.map(ReleasePolicyWire::read).transpose()?,
        })
    }
}

/// `GetRandomBytesRequest`.
#[derive(Default, Deserialize)]
#[serde(default)]
struct RandomBytesRequest {
    count: Option<i64>,
}

impl RandomBytesRequest {
    fn read(&self) -> Result<usize, ApiError> {
        let count = self.count.and_then(|count| usize::try_from(count).ok());
        count.filter(|count| (1..=MAX_RANDOM_BYTES).contains(count)).ok_or_else(|| invalid("count"))
    }
}

fn operations(names: &[String]) -> Result<Vec<KeyOperation>, ApiError> {
    names.iter().map(|name| KeyOperation::parse(name).ok_or_else(|| invalid("key_ops"))).collect()
}

/// The most random bytes of one call (`GetRandomBytesRequest` of the service contract).
const MAX_RANDOM_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::http::body::parse;
    use crate::vault::{KeyShape, RsaSize};

    fn create(body: &str) -> Result<KeyCommand, String> {
        let request = parse(body.as_bytes()).map_err(|error| error.to_string())?;
        KeyCommand::create("kms".parse().unwrap(), request).map_err(|error| error.status().to_string())
    }

    #[test]
    fn only_an_object_is_a_body() {
        for bad in [r#"["RSA"]"#, "null", r#""RSA""#, r#"{"kty":"RSA","attributes":[true]}"#, r#"{"kty":"RSA"} x"#] {
            assert!(create(bad).is_err(), "{bad}");
        }
        for good in [r#"{"kty":"RSA"}"#, r#"{"kty":"RSA","attributes":null,"tags":null,"key_ops":[],"x":[[]]}"#] {
            assert!(create(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn defaults_are_the_services() {
        let Ok(KeyCommand::Create { key_type, draft, .. }) = create(r#"{"kty":"RSA"}"#) else { panic!("a command") };
        assert_eq!(key_type, KeyType { shape: KeyShape::Rsa(RsaSize::Rsa2048), hsm: false });
        assert_eq!((draft.operations, draft.validity, draft.tags), (None, Validity::default(), None));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(
            body in prop::collection::vec(any::<u8>(), 0..200), kty in "(RSA|EC|oct)(-HSM)?|.*", crv in "P-(256K?|384)|.*",
            size: i64, exp: i64, nbf: i64, ops in prop::collection::vec(".*", 0..3), number in "[A-Za-z0-9_-]{0,90}",
        ) {
            let _ = parse::<CreateRequest>(&body).map(|request| KeyCommand::create("k".parse().unwrap(), request));
            let attributes = serde_json::json!({ "exp": exp, "nbf": nbf });
            let request =
                serde_json::json!({ "kty": kty, "crv": crv, "key_size": size, "attributes": attributes, "key_ops": ops });
            let _ = create(&request.to_string());
            let mut key = serde_json::json!({ "kty": kty, "crv": crv });
            for member in ["n", "e", "d", "p", "q", "dp", "dq", "qi", "k", "x", "y"] {
                key[member] = number.clone().into();
            }
            let body = serde_json::json!({ "key": key, "Hsm": true }).to_string();
            let _ = KeyCommand::import("k".parse().unwrap(), parse(body.as_bytes()).unwrap());
        }
    }
}
