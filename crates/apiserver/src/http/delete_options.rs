//! Options of delete, from a body in JSON or protobuf, or from the query.
//!
//! As upstream (`endpoints/handlers/delete.go`), a body stands for all options: the query then counts for nothing.

use envelope::storage::Unknown;
use prost::Message as _;
use serde_json::Value;

use super::options::{META_GROUP, dry_run};
use super::query::Query;
use crate::object::{decode, json, schema};
use crate::status::ApiError;
use crate::validation::FieldProblem;

/// What a delete may insist on.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct DeleteOptions {
    pub(crate) dry_run: bool,
    /// Only an object with this uid.
    pub(crate) uid: Option<String>,
    /// Only an object at this version.
    pub(crate) resource_version: Option<String>,
}

/// The form of the body, by its content type.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BodyForm {
    Json,
    Protobuf,
}

impl DeleteOptions {
    /// Reads the options.
    ///
    /// # Errors
    ///
    /// 400 for a body that holds none, 422 for values that are not allowed.
    pub(crate) fn parse(query: &Query, form: BodyForm, body: &[u8]) -> Result<Self, ApiError> {
        let wire = match form {
            _ if body.is_empty() => Wire {
                dry_run: query.all("dryRun").map(str::to_owned).collect(),
                propagation_policy: query.text("propagationPolicy").map(str::to_owned),
                ..Wire::default()
            },
            BodyForm::Json => from_json(body)?,
            BodyForm::Protobuf => from_protobuf(body)?,
        };
        let mut problems = Vec::new();
        let dry_run = dry_run(wire.dry_run.iter().map(String::as_str), &mut problems);
        if let Some(policy) = wire.propagation_policy.as_deref().filter(|policy| !POLICIES.contains(policy)) {
            problems.push(FieldProblem::not_supported("propagationPolicy", policy, &POLICIES));
        }
        if !problems.is_empty() {
            return Err(ApiError::invalid("DeleteOptions", META_GROUP, "", &problems));
        }
        let Preconditions { uid, resource_version } = wire.preconditions.unwrap_or_default();
        Ok(Self { dry_run, uid, resource_version })
    }
}

/// `meta/v1.DeleteOptions`; the fields that are left out mean nothing here.
#[derive(Clone, PartialEq, prost::Message)]
struct Wire {
    #[prost(message, optional, tag = "2")]
    preconditions: Option<Preconditions>,
    #[prost(string, optional, tag = "4")]
    propagation_policy: Option<String>,
    #[prost(string, repeated, tag = "5")]
    dry_run: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Preconditions {
    #[prost(string, optional, tag = "1")]
    uid: Option<String>,
    #[prost(string, optional, tag = "2")]
    resource_version: Option<String>,
}

fn from_json(body: &[u8]) -> Result<Wire, ApiError> {
    let (mut value, _) = json::parse(body).map_err(|error| refused(&error.to_string()))?;
    let mut unknown = Vec::new();
    decode::check(&schema::DELETE_OPTIONS, &mut value, "DeleteOptions", "", &mut unknown)
        .map_err(|error| refused(&error.to_string()))?;
    let text = |pointer: &str| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let dry_run = value.get("dryRun").and_then(Value::as_array).into_iter().flatten();
    Ok(Wire {
        preconditions: Some(Preconditions {
            uid: text("/preconditions/uid"),
            resource_version: text("/preconditions/resourceVersion"),
        }),
        propagation_policy: text("/propagationPolicy"),
        dry_run: dry_run.filter_map(Value::as_str).map(str::to_owned).collect(),
    })
}

fn from_protobuf(body: &[u8]) -> Result<Wire, ApiError> {
    let message = body.strip_prefix(MAGIC).ok_or_else(|| refused("the body does not start as protobuf objects do"))?;
    let unknown = Unknown::decode(message).map_err(|error| refused(&error.to_string()))?;
    Wire::decode(unknown.raw.unwrap_or_default().as_slice()).map_err(|error| refused(&error.to_string()))
}

fn refused(text: &str) -> ApiError {
    ApiError::bad_request(format!("DeleteOptions in version \"v1\" cannot be handled as a DeleteOptions: {text}"))
}

/// What every object in protobuf starts with.
const MAGIC: &[u8] = b"k8s\0";
const POLICIES: [&str; 3] = ["Background", "Foreground", "Orphan"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(uri: &'static str, form: BodyForm, body: &[u8]) -> Result<DeleteOptions, ApiError> {
        DeleteOptions::parse(&Query::parse(&http::Uri::from_static(uri)).unwrap(), form, body)
    }

    #[test]
    fn a_body_stands_for_all_options() {
        let body = br#"{"preconditions": {"uid": "u", "resourceVersion": "7"}, "propagationPolicy": "Background"}"#;
        let expected = DeleteOptions { dry_run: false, uid: Some("u".into()), resource_version: Some("7".into()) };
        assert_eq!(parsed("/?dryRun=All", BodyForm::Json, body), Ok(expected.clone()));
        assert!(parsed("/?dryRun=All", BodyForm::Json, b"").unwrap().dry_run);

        let preconditions = Preconditions { uid: Some("u".into()), resource_version: Some("7".into()) };
        let wire = Wire { preconditions: Some(preconditions), ..Wire::default() };
        let unknown = Unknown { raw: Some(wire.encode_to_vec()), ..Unknown::default() };
        let body = [MAGIC, unknown.encode_to_vec().as_slice()].concat();
        assert_eq!(parsed("/", BodyForm::Protobuf, &body), Ok(expected));
    }

    #[test]
    fn what_is_not_allowed_is_named() {
        let error = parsed("/", BodyForm::Json, br#"{"dryRun": ["Some"], "propagationPolicy": "Now"}"#).unwrap_err();
        insta::assert_snapshot!(error.status().message.as_deref().unwrap(), @r#"DeleteOptions.meta.k8s.io "" is invalid: [dryRun: Unsupported value: "Some": supported values: "All", propagationPolicy: Unsupported value: "Now": supported values: "Background", "Foreground", "Orphan"]"#);
    }

    proptest! {
        #[test]
        fn bytes_never_panic(body in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parsed("/", BodyForm::Json, &body);
            let _ = parsed("/", BodyForm::Protobuf, &[MAGIC, &body].concat());
        }
    }
}
