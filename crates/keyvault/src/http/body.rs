//! JSON bodies, and the checks that keys and secrets share.

use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::http::api_error::ApiError;
use crate::http::inbound::Inbound;
use crate::http::{assumed, base64url};
use crate::vault::{Tags, Validity};

/// `KeyAttributes` and `SecretAttributes`, as far as a caller sets them. Times are seconds since 1970.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AttributesRequest {
    pub(super) enabled: Option<bool>,
    pub(super) nbf: Option<i64>,
    pub(super) exp: Option<i64>,
    pub(super) exportable: Option<bool>,
}

impl AttributesRequest {
    /// What they say of a version's life.
    ///
    /// # Errors
    ///
    /// 400 `BadParameter` for a time before 1970 or beyond the calendar.
    pub(super) fn validity(request: Option<Self>) -> Result<Validity, ApiError> {
        let Some(Self { enabled, nbf, exp, exportable: _ }) = request else { return Ok(Validity::default()) };
        Ok(Validity { enabled, not_before: moment("nbf", nbf)?, expires: moment("exp", exp)? })
    }
}

/// `BackupKeyResult` and `BackupSecretResult`, and what restores them: base64url.
#[derive(Default, Deserialize, serde::Serialize)]
#[serde(default)]
pub(super) struct BackupValue {
    pub(super) value: Option<String>,
}

impl BackupValue {
    /// The backup.
    ///
    /// # Errors
    ///
    /// 400 `BadParameter` if there is none.
    pub(super) fn decode(self) -> Result<Vec<u8>, ApiError> {
        required_bytes("value", self.value)
    }
}

/// Reads a JSON body.
///
/// # Errors
///
/// 415 for another content type, 413 and 408 for one that is too long or too slow, else 400.
pub(super) async fn json<T: DeserializeOwned>(inbound: &mut Inbound) -> Result<T, ApiError> {
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
///
/// # Errors
///
/// Whatever `serde_json` finds.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, serde_json::Error> {
    let object: Map<String, Value> = serde_json::from_slice(body)?;
    if ["attributes", "key", "release_policy"].iter().any(|name| object.get(*name).is_some_and(Value::is_array)) {
        return Err(serde::de::Error::invalid_type(serde::de::Unexpected::Seq, &"an object"));
    }
    serde_json::from_value(Value::Object(object))
}

/// The bytes of a property that must be there.
///
/// # Errors
///
/// 400 `BadParameter` if it is missing or no base64url.
pub(super) fn required_bytes(property: &str, value: Option<String>) -> Result<Vec<u8>, ApiError> {
    let value = value.ok_or_else(|| ApiError::bad_parameter(assumed::property_missing(property)))?;
    // Captured for `value`: bruj0/vault-recovery-key#20.
    base64url::decode(&value).ok_or_else(|| {
        ApiError::bad_parameter(format!(
            "Content of '{property}' is not base64url.\r\nProperty '{property}' is required.\r\n"
        ))
    })
}

/// The bytes of a property that may be there.
///
/// # Errors
///
/// 400 `BadParameter` if it is no base64url.
pub(super) fn optional_bytes(property: &str, value: Option<String>) -> Result<Option<Vec<u8>>, ApiError> {
    value.map(|value| required_bytes(property, Some(value))).transpose()
}

/// Tags within their limits.
///
/// # Errors
///
/// 400 `BadParameter` beyond them.
pub(super) fn checked_tags(tags: Option<Tags>) -> Result<Option<Tags>, ApiError> {
    let fits = |text: &String| text.chars().count() <= MAX_TAG_CHARS;
    match tags {
        Some(tags) if tags.len() > MAX_TAGS || !tags.iter().all(|(name, value)| fits(name) && fits(value)) => {
            Err(ApiError::bad_parameter(assumed::TAGS))
        }
        tags => Ok(tags),
    }
}

/// The refusal of a property whose value is not one of those there are.
pub(super) fn invalid(property: &str) -> ApiError {
    ApiError::bad_parameter(assumed::invalid_property(property))
}

/// Seconds since 1970, not before.
fn moment(property: &str, seconds: Option<i64>) -> Result<Option<Timestamp>, ApiError> {
    let Some(seconds) = seconds else { return Ok(None) };
    let moment = Timestamp::from_second(seconds).ok().filter(|_| seconds >= 0);
    moment.map(Some).ok_or_else(|| invalid(property))
}

const MAX_TAGS: usize = 15;
const MAX_TAG_CHARS: usize = 256;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parsing_never_panics(body in prop::collection::vec(any::<u8>(), 0..200), nbf: i64, exp: i64) {
            let _ = parse::<Map<String, Value>>(&body);
            let attributes = AttributesRequest { nbf: Some(nbf), exp: Some(exp), ..AttributesRequest::default() };
            let _ = AttributesRequest::validity(Some(attributes));
        }
    }
}
