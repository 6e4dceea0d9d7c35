//! A request to the vault, read to its end and checked in itself: nothing below sees raw JSON.

use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::http::api_error::ApiError;
use crate::http::inbound::Inbound;
use crate::http::page::Page;
use crate::http::route::{Crypt, KeyRoute, VersionRef};
use crate::http::wire::{AttributesRequest, CreateRequest, CryptRequest, UpdateRequest};
use crate::http::{assumed, base64url};
use crate::vault::{Algorithm, KeyName, KeyOperation, Patch, RsaSize, Tags};

/// An operation with everything it needs. Not to be shown: its input may be a plaintext.
pub(super) enum KeyCommand {
    Create { name: KeyName, size: RsaSize, operations: Vec<KeyOperation>, validity: Validity, tags: Option<Tags> },
    Crypt { crypt: Crypt, name: KeyName, version: VersionRef, algorithm: Algorithm, input: Vec<u8> },
    Delete { name: KeyName },
    Get { name: KeyName, version: VersionRef },
    GetDeleted { name: KeyName },
    List { page: Page },
    ListDeleted { page: Page },
    ListVersions { name: KeyName, page: Page },
    Purge { name: KeyName },
    Recover { name: KeyName },
    Rotate { name: KeyName },
    Update { name: KeyName, version: VersionRef, patch: Patch },
}

/// What a caller says of a version's life.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Validity {
    pub(super) enabled: Option<bool>,
    pub(super) not_before: Option<Timestamp>,
    pub(super) expires: Option<Timestamp>,
}

impl KeyCommand {
    /// Reads the rest of a request whose route is known.
    ///
    /// # Errors
    ///
    /// 400 `BadParameter` and its kin: whatever is wrong with query or body.
    pub(super) async fn read(route: KeyRoute, inbound: &mut Inbound) -> Result<Self, ApiError> {
        Ok(match route {
            KeyRoute::Create { name } => Self::create(name, json(inbound).await?)?,
            KeyRoute::Crypt { crypt, name, version } => Self::crypt(crypt, name, version, json(inbound).await?)?,
            KeyRoute::Delete { name } => Self::Delete { name },
            KeyRoute::Get { name, version } => Self::Get { name, version },
            KeyRoute::GetDeleted { name } => Self::GetDeleted { name },
            KeyRoute::List => Self::List { page: Page::read(inbound)? },
            KeyRoute::ListDeleted => Self::ListDeleted { page: Page::read(inbound)? },
            KeyRoute::ListVersions { name } => Self::ListVersions { name, page: Page::read(inbound)? },
            KeyRoute::Purge { name } => Self::Purge { name },
            KeyRoute::Recover { name } => Self::Recover { name },
            KeyRoute::Rotate { name } => Self::Rotate { name },
            KeyRoute::Update { name, version } => Self::update(name, version, json(inbound).await?)?,
        })
    }

    fn create(name: KeyName, request: CreateRequest) -> Result<Self, ApiError> {
        match request.kty.as_deref() {
            None | Some("") => return Err(ApiError::bad_parameter(assumed::KTY_MISSING)),
            Some("RSA") => {}
            Some("EC" | "EC-HSM" | "RSA-HSM" | "oct" | "oct-HSM" | "AKP") => {
                return Err(ApiError::not_emulated("Key types other than RSA are"));
            }
            Some(_) => return Err(invalid("kty")),
        }
        let size = match request.key_size {
            None => RsaSize::Rsa2048,
            Some(bits) => usize::try_from(bits).ok().and_then(RsaSize::from_bits).ok_or_else(|| invalid("key_size"))?,
        };
        if request.public_exponent.is_some_and(|exponent| exponent != 65_537) {
            return Err(ApiError::bad_parameter(assumed::PUBLIC_EXPONENT));
        }
        refuse_release(request.release_policy.as_ref(), request.attributes)?;
        Ok(Self::Create {
            name,
            size,
            operations: match request.key_ops {
                None => KeyOperation::RSA_DEFAULT.to_vec(),
                Some(names) => operations(&names)?,
            },
            validity: Validity::read(request.attributes)?,
            tags: request.tags.map(checked_tags).transpose()?,
        })
    }

    fn update(name: KeyName, version: VersionRef, request: UpdateRequest) -> Result<Self, ApiError> {
        refuse_release(request.release_policy.as_ref(), request.attributes)?;
        let Validity { enabled, not_before, expires } = Validity::read(request.attributes)?;
        let patch = Patch {
            operations: request.key_ops.as_deref().map(operations).transpose()?,
            enabled,
            not_before,
            expires,
            tags: request.tags.map(checked_tags).transpose()?,
        };
        Ok(Self::Update { name, version, patch })
    }

    fn crypt(crypt: Crypt, name: KeyName, version: VersionRef, request: CryptRequest) -> Result<Self, ApiError> {
        let algorithm = match request.alg.as_deref() {
            None => return Err(unknown_algorithm()),
            Some(alg) => match Algorithm::parse(alg) {
                Some(algorithm) => algorithm,
                None if OTHER_ALGORITHMS.contains(&alg) => {
                    return Err(ApiError::bad_parameter(assumed::algorithm_mismatch(alg)));
                }
                None => return Err(unknown_algorithm()),
            },
        };
        let value = request.value.ok_or_else(|| ApiError::bad_parameter(assumed::VALUE_MISSING))?;
        // Captured: bruj0/vault-recovery-key#20.
        let input = base64url::decode(&value).ok_or_else(|| {
            ApiError::bad_parameter("Content of 'value' is not base64url.\r\nProperty 'value' is required.\r\n")
        })?;
        Ok(Self::Crypt { crypt, name, version, algorithm, input })
    }
}

impl Validity {
    fn read(request: Option<AttributesRequest>) -> Result<Self, ApiError> {
        let Some(AttributesRequest { enabled, nbf, exp, exportable: _ }) = request else { return Ok(Self::default()) };
        Ok(Self { enabled, not_before: moment("nbf", nbf)?, expires: moment("exp", exp)? })
    }
}

/// Reads a JSON body.
///
/// # Errors
///
/// 415 for another content type, 413 and 408 for one that is too long or too slow, else 400.
async fn json<T: DeserializeOwned>(inbound: &mut Inbound) -> Result<T, ApiError> {
    let content_type = inbound.header(&CONTENT_TYPE).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        return Err(ApiError::content_type());
    }
    let body = inbound.body().await?;
    parse(&body).map_err(|error| {
        tracing::debug!(line = error.line(), column = error.column(), "a request's body is not the JSON it should be");
        ApiError::bad_parameter(assumed::MALFORMED_BODY)
    })
}

/// Reads an object whose members are of the right types. Structures would take arrays too, the service does not.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    let object: Map<String, Value> = serde_json::from_slice(body)?;
    if object.get("attributes").is_some_and(Value::is_array) {
        return Err(serde::de::Error::invalid_type(serde::de::Unexpected::Seq, &"an object"));
    }
    serde_json::from_value(Value::Object(object))
}

fn operations(names: &[String]) -> Result<Vec<KeyOperation>, ApiError> {
    names.iter().map(|name| KeyOperation::parse(name).ok_or_else(|| invalid("key_ops"))).collect()
}

/// Seconds since 1970, not before.
fn moment(property: &str, seconds: Option<i64>) -> Result<Option<Timestamp>, ApiError> {
    let Some(seconds) = seconds else { return Ok(None) };
    let moment = Timestamp::from_second(seconds).ok().filter(|_| seconds >= 0);
    moment.map(Some).ok_or_else(|| invalid(property))
}

fn checked_tags(tags: Tags) -> Result<Tags, ApiError> {
    let fits = |text: &String| text.chars().count() <= MAX_TAG_CHARS;
    if tags.len() > MAX_TAGS || !tags.iter().all(|(name, value)| fits(name) && fits(value)) {
        return Err(ApiError::bad_parameter(assumed::TAGS));
    }
    Ok(tags)
}

/// Exportable keys and their release policies are not emulated.
fn refuse_release(policy: Option<&Value>, attributes: Option<AttributesRequest>) -> Result<(), ApiError> {
    let exportable = attributes.and_then(|attributes| attributes.exportable) == Some(true);
    if policy.is_some() || exportable { Err(ApiError::not_emulated("Exportable keys are")) } else { Ok(()) }
}

fn invalid(property: &str) -> ApiError {
    ApiError::bad_parameter(assumed::invalid_property(property))
}

/// Captured: Azure/azure-sdk-for-go#2060. The name of the property really is empty.
fn unknown_algorithm() -> ApiError {
    ApiError::bad_parameter("Property  has invalid value\r\n")
}

const MAX_TAGS: usize = 15;
const MAX_TAG_CHARS: usize = 256;
/// `JsonWebKeyEncryptionAlgorithm` without those of RSA.
const OTHER_ALGORITHMS: [&str; 17] = [
    "A128CBC",
    "A128CBCPAD",
    "A128GCM",
    "A128KW",
    "A192CBC",
    "A192CBCPAD",
    "A192GCM",
    "A192KW",
    "A256CBC",
    "A256CBCPAD",
    "A256GCM",
    "A256KW",
    "CKM_AES_KEY_WRAP",
    "CKM_AES_KEY_WRAP_PAD",
    "A128KWPAD",
    "A192KWPAD",
    "A256KWPAD",
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

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
        let Ok(KeyCommand::Create { size, operations, validity, tags, .. }) = create(r#"{"kty":"RSA"}"#) else {
            panic!("a command")
        };
        assert_eq!((size, validity, tags), (RsaSize::Rsa2048, Validity::default(), None));
        assert_eq!(operations, KeyOperation::RSA_DEFAULT);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(
            body in prop::collection::vec(any::<u8>(), 0..200),
            kty in ".*", size: i64, exp: i64, nbf: i64, ops in prop::collection::vec(".*", 0..3),
        ) {
            let _ = parse::<CreateRequest>(&body).map(|request| KeyCommand::create("k".parse().unwrap(), request));
            let _ = parse::<CryptRequest>(&body);
            let attributes = serde_json::json!({ "exp": exp, "nbf": nbf });
            let request = serde_json::json!({ "kty": kty, "key_size": size, "attributes": attributes, "key_ops": ops });
            let _ = create(&request.to_string());
        }
    }
}
