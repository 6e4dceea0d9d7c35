//! Request bodies to objects, as strictly as the client asks.
//!
//! Imitates `sigs.k8s.io/json` and the decode step of the create and update handlers
//! (`endpoints/handlers/create.go`, `rest.go: transformDecodeError`): names match by case, a wrong type is refused,
//! an unknown or repeated field is refused, warned of or ignored as `fieldValidation` says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use envelope::storage::StorageError;
use serde_json::{Map, Value};
use thiserror::Error;

use super::codec;
use super::json;
use super::schema::{Schema, Struct};
use super::typed::Object;
use crate::resource::Resource;

/// A body that became an object, and what strictness would have refused.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) object: Object,
    /// Upstream's text per unknown or repeated field, in document order.
    pub(crate) strict: Vec<String>,
}

/// Decodes a body in protobuf, which typed clients of Go send (kubectl's `create` among them): the form is that of
/// storage. Fields that it does not know are skipped, as upstream does.
///
/// # Errors
///
/// [`DecodeError::Protobuf`].
pub(crate) fn protobuf(resource: Resource, body: &[u8]) -> Result<Decoded, DecodeError> {
    let object = codec::decode(resource, body).map_err(|cause| DecodeError::Protobuf {
        expected: resource.kind(),
        summary: summary(body),
        cause,
    })?;
    Ok(Decoded { object, strict: Vec::new() })
}

/// Decodes a body in JSON.
///
/// # Errors
///
/// [`DecodeError`], whose text is the message of the 400 that upstream answers.
pub(crate) fn object(resource: Resource, body: &[u8]) -> Result<Decoded, DecodeError> {
    let kind = resource.kind();
    let (value, duplicates) =
        json::parse(body).map_err(|cause| DecodeError::NotJson { expected: kind, summary: summary(body), cause })?;
    let Value::Object(members) = &value else {
        return Err(DecodeError::NotAnObject { expected: kind, summary: summary(body) });
    };
    let named_kind = text_member(members, "kind").unwrap_or(kind).to_owned();
    let version = text_member(members, "apiVersion").unwrap_or("v1");
    if version != "v1" {
        return Err(DecodeError::ApiVersion { given: version.to_owned() });
    }
    if named_kind != kind {
        return Err(DecodeError::Kind { given: named_kind, expected: kind });
    }
    let mut strict = repeated(duplicates);
    let object = from_value(resource, value, &mut strict).map_err(|cause| DecodeError::Field {
        given: named_kind,
        expected: kind,
        cause,
    })?;
    Ok(Decoded { object, strict })
}

/// Checks `value` against the fields of `resource` and makes it an object. Adds to `strict` what is unknown.
pub(crate) fn from_value(resource: Resource, mut value: Value, strict: &mut Vec<String>) -> Result<Object, FieldError> {
    check(resource.schema(), &mut value, resource.kind(), "", strict)?;
    if let Value::Object(members) = &mut value {
        members.insert("apiVersion".into(), "v1".into());
        members.insert("kind".into(), resource.kind().into());
    }
    Object::from_json(resource, value).map_err(FieldError::Typed)
}

/// Checks `value` and takes out of it what `schema` does not know, and nulls, which mean absence.
///
/// `owner` is the Go struct around `value`, which is at `path`; both appear in errors.
///
/// # Errors
///
/// [`FieldError`] for a value of the wrong type.
pub(crate) fn check(
    schema: &'static Schema,
    value: &mut Value,
    owner: &'static str,
    path: &str,
    strict: &mut Vec<String>,
) -> Result<(), FieldError> {
    let wrong_type = |value: &Value| FieldError::Type {
        value: go_kind(value),
        place: if path.is_empty() { String::new() } else { format!("Go struct field {owner}.{path}") },
        expected: go_type(schema),
    };
    match (schema, &mut *value) {
        (Schema::Any, _) | (Schema::Boolean, Value::Bool(_)) | (Schema::String, Value::String(_)) => Ok(()),
        (Schema::Integer, Value::Number(number)) if number.is_i64() => Ok(()),
        (Schema::Bytes, Value::String(text)) => match STANDARD.decode(text.as_bytes()) {
            Ok(_) => Ok(()),
            Err(error) => Err(FieldError::Base64 { offset: base64_offset(&error, text.len()) }),
        },
        (Schema::Time, Value::String(text)) => match text.parse::<jiff::Timestamp>() {
            Ok(_) => Ok(()),
            Err(_) => Err(FieldError::Time { text: text.clone() }),
        },
        (Schema::List { items, .. }, Value::Array(list)) => {
            for (index, item) in list.iter_mut().enumerate() {
                if item.is_null() && !matches!(items, Schema::Any) {
                    return Err(wrong_type(item));
                }
                check(items, item, owner, &format!("{path}[{index}]"), strict)?;
            }
            Ok(())
        }
        (Schema::Map { values }, Value::Object(members)) => {
            for member in members.values_mut() {
                // In Go a null map value decodes to the zero value of its type.
                if member.is_null() {
                    *member = Value::String(String::new());
                }
                check(values, member, owner, path, strict)?;
            }
            Ok(())
        }
        (Schema::Struct(message), Value::Object(members)) => check_members(message, members, path, strict),
        (_, value) => Err(wrong_type(value)),
    }
}

fn check_members(
    message: &'static Struct,
    members: &mut Map<String, Value>,
    path: &str,
    strict: &mut Vec<String>,
) -> Result<(), FieldError> {
    let names: Vec<String> = members.keys().cloned().collect();
    for name in names {
        let at = json::child(path, &name);
        let Some(field) = message.field(&name) else {
            strict.push(format!("unknown field {at:?}"));
            members.remove(&name);
            continue;
        };
        let Some(value) = members.get_mut(&name) else { continue };
        if value.is_null() {
            members.remove(&name);
        } else {
            check(field.schema, value, message.name, &at, strict)?;
        }
    }
    Ok(())
}

/// What upstream says of repeated keys.
pub(crate) fn repeated(duplicates: Vec<String>) -> Vec<String> {
    duplicates.into_iter().map(|path| format!("duplicate field {path:?}")).collect()
}

fn text_member<'a>(members: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// The name that Go's JSON package has for a value of the wrong type.
fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn go_type(schema: &Schema) -> String {
    match schema {
        Schema::Any => "interface {}".into(),
        Schema::Boolean => "bool".into(),
        Schema::Bytes => "[]uint8".into(),
        Schema::Integer => "int64".into(),
        Schema::List { items, .. } => format!("[]{}", go_type(items)),
        Schema::Map { values } => format!("map[string]{}", go_type(values)),
        Schema::String => "string".into(),
        Schema::Struct(message) => {
            format!("v1.{}", message.name)
        }
        Schema::Time => "time.Time".into(),
    }
}

/// Where Go's decoder would have stopped.
fn base64_offset(error: &base64::DecodeError, length: usize) -> usize {
    match error {
        base64::DecodeError::InvalidByte(offset, _) | base64::DecodeError::InvalidLastSymbol { offset, .. } => *offset,
        base64::DecodeError::InvalidLength(_) | base64::DecodeError::InvalidPadding => length - length % 4,
    }
}

/// The first bytes of a body in hexadecimal, as upstream quotes a body that it cannot read.
fn summary(body: &[u8]) -> String {
    const QUOTED_BYTES: usize = 30;
    match body.get(..QUOTED_BYTES) {
        Some(start) if body.len() > QUOTED_BYTES => format!("{} ...", hex::encode(start)),
        Some(_) | None if body.is_empty() => "<empty>".into(),
        Some(_) | None => hex::encode(body),
    }
}

/// A body is not the object that it should be. The text is upstream's message, cause included, so there is no `source()`.
#[derive(Debug, Error)]
pub(crate) enum DecodeError {
    #[error("the API version in the data ({given}) does not match the expected API version (v1)")]
    ApiVersion { given: String },
    #[error("{given} in version \"v1\" cannot be handled as a {expected}: {cause}")]
    Field { given: String, expected: &'static str, cause: FieldError },
    #[error(
        "{given} in version \"v1\" cannot be handled as a {expected}: converting (v1.{given}) to (core.{expected}): unknown conversion"
    )]
    Kind { given: String, expected: &'static str },
    #[error(
        "the object provided is unrecognized (must be of type {expected}): couldn't get version/kind; json parse error: the document is not an object ({summary})"
    )]
    NotAnObject { expected: &'static str, summary: String },
    // Differs: upstream's text has Go's parser error at this place.
    #[error(
        "the object provided is unrecognized (must be of type {expected}): couldn't get version/kind; json parse error: {cause} ({summary})"
    )]
    NotJson { expected: &'static str, summary: String, cause: serde_json::Error },
    #[error("the object provided is unrecognized (must be of type {expected}): {cause} ({summary})")]
    Protobuf { expected: &'static str, summary: String, cause: StorageError },
}

/// A field has a value of the wrong type. The text is that of Go's JSON package.
#[derive(Debug, Error)]
pub(crate) enum FieldError {
    #[error("illegal base64 data at input byte {offset}")]
    Base64 { offset: usize },
    #[error("parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\"")]
    Time { text: String },
    #[error("json: cannot unmarshal {value} into {place} of type {expected}")]
    Type { value: &'static str, place: String, expected: String },
    #[error("{0}")]
    Typed(serde_json::Error),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(body: &str) -> String {
        object(Resource::Secrets, body.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn unknown_and_repeated_fields_are_named_by_path() {
        let body = br#"{"metadata":{"name":"a","nam":"b"},"foo":1,"data":{"k":"","k":"dg=="}}"#;
        let decoded = object(Resource::Secrets, body).unwrap();
        insta::assert_debug_snapshot!(decoded.strict, @r#"
        [
            "duplicate field \"data.k\"",
            "unknown field \"foo\"",
            "unknown field \"metadata.nam\"",
        ]
        "#);
        assert_eq!(decoded.object.name(), "a");
    }

    #[test]
    fn wrong_types_are_refused_with_gos_words() {
        insta::assert_snapshot!(error(r#"{"metadata":{"name":5}}"#), @r#"Secret in version "v1" cannot be handled as a Secret: json: cannot unmarshal number into Go struct field ObjectMeta.metadata.name of type string"#);
        insta::assert_snapshot!(error(r#"{"data":{"a":"*"}}"#), @r#"Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 0"#);
        insta::assert_snapshot!(error(r#"{"kind":"ConfigMap"}"#), @r#"ConfigMap in version "v1" cannot be handled as a Secret: converting (v1.ConfigMap) to (core.Secret): unknown conversion"#);
        insta::assert_snapshot!(error(r#"{"apiVersion":"v2"}"#), @"the API version in the data (v2) does not match the expected API version (v1)");
        insta::assert_snapshot!(error(r#"{"a""#), @"the object provided is unrecognized (must be of type Secret): couldn't get version/kind; json parse error: EOF while parsing an object at line 1 column 4 (7b226122)");
        insta::assert_snapshot!(error(""), @"the object provided is unrecognized (must be of type Secret): couldn't get version/kind; json parse error: EOF while parsing a value at line 1 column 0 (<empty>)");
    }

    #[test]
    fn string_data_wins_over_data_and_is_gone() {
        let body = br#"{"data":{"a":"MQ==","b":"Mg=="},"stringData":{"a":"9"}}"#;
        let Object::Secret(secret) = object(Resource::Secrets, body).unwrap().object else { unreachable!() };
        assert!(secret.string_data.is_none());
        let data = secret.data.unwrap();
        assert_eq!(data["a"].0, b"9");
        assert_eq!(data["b"].0, b"2");
    }

    proptest! {
        #[test]
        fn never_panics(body in proptest::collection::vec(any::<u8>(), 0..60)) {
            for resource in Resource::ALL {
                let _ = object(resource, &body);
            }
        }

        #[test]
        fn never_panics_on_json(body in r#"\{("(metadata|data|type|spec|status|immutable)":(\{"(name|labels|finalizers|a)":(1|"a"|null|\[\]|\{\})\}|1|"x"|null),?){0,3}\}"#) {
            for resource in Resource::ALL {
                let _ = object(resource, body.as_bytes());
            }
        }
    }
}
