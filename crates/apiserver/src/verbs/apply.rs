//! Server-side apply.
//!
//! Imitates `applyPatcher` of `endpoints/handlers/patch.go`: an object that is not there is created.
//! Differs: the body is JSON, which is what kubectl, kube-rs and client-go send; other YAML is refused with a 400.

use http::StatusCode;
use serde_json::{Value, json};

use super::create;
use super::update::{Change, write};
use crate::core::Core;
use crate::http::{Answer, ApiRequest, Reply, Target, WriteKind, WriteOptions};
use crate::managed_fields::{self, Applier, ApplyError};
use crate::object::{self, Object, decode, whole_seconds};
use crate::status::ApiError;

/// What a patch says it is when it is an apply.
pub(super) const CONTENT_TYPE: &str = "application/apply-patch+yaml";

/// Applies the configuration in the body.
pub(super) async fn apply(core: &Core, target: &Target, name: &str, request: &ApiRequest) -> Result<Reply, ApiError> {
    let options = WriteOptions::parse(WriteKind::Apply, &request.query, &request.headers)?;
    let (config, warnings) = configuration(target, name, &request.body, &options)?;
    let applier = Applier {
        manager: &options.field_manager,
        force: request.query.flag("force"),
        now: whole_seconds(core.clock.now()),
    };
    // A create that somebody else was faster with becomes an update, and the other way round.
    for _ in 0..MAX_TRIES {
        let changed = write(core, target, name, &options, |live| {
            applied(target, Some(live), &config, applier).map(Change::Applied)
        });
        match changed.await {
            Err(error) if error.is_absence_of(target.resource, name) => {}
            answer => return answer.map(|answer| Reply { answer, warnings: warnings.clone() }),
        }
        let new = applied(target, None, &config, applier)?;
        match create::store(core, Change::Applied(new), &options).await {
            Err(error) if error.is_existence() => {}
            created => {
                let answer = Answer::Object(StatusCode::CREATED, Box::new(created?));
                return Ok(Reply { answer, warnings });
            }
        }
    }
    Err(ApiError::modified(target.resource, name))
}

/// The configuration, with the name and namespace of the request, and what its strict decoding warns of.
fn configuration(
    target: &Target,
    name: &str,
    body: &[u8],
    options: &WriteOptions,
) -> Result<(Value, Vec<String>), ApiError> {
    let kind = target.resource.kind();
    let (mut config, repeated) = object::json::parse(body).map_err(|error| {
        ApiError::bad_request(format!("error decoding YAML: this server reads configurations in JSON: {error}"))
    })?;
    let text = |pointer: &str| config.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    if text("/kind") != kind || text("/apiVersion") != "v1" {
        let given = format!("{}, Kind={}", text("/apiVersion"), text("/kind"));
        let text = format!("the configuration says it is {given:?} and not \"v1, Kind={kind}\"");
        return Err(ApiError::bad_request(text));
    }
    for (field, given, expected) in
        [("name", text("/metadata/name"), name), ("namespace", text("/metadata/namespace"), target.namespace())]
    {
        if !given.is_empty() && given != expected {
            let text =
                format!("the {field} of the object ({given}) does not match the {field} on the URL ({expected})");
            return Err(ApiError::bad_request(text));
        }
    }
    if config.pointer("/metadata/managedFields").is_some_and(|entries| !entries.is_null()) {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    let mut strict = decode::repeated(repeated);
    decode::check(target.resource.schema(), &mut config, kind, "", &mut strict)
        .map_err(|error| ApiError::bad_request(format!("failed to create typed patch object: {error}")))?;
    let warnings = options.judge(strict).map_err(ApiError::bad_request)?;
    if let Value::Object(members) = &mut config {
        let metadata = members.entry("metadata").or_insert_with(|| json!({}));
        if let Value::Object(metadata) = metadata {
            metadata.insert("name".into(), name.into());
        }
    }
    Ok((config, warnings))
}

fn applied(target: &Target, live: Option<&Object>, config: &Value, applier: Applier<'_>) -> Result<Object, ApiError> {
    let resource = target.resource;
    let internal = |error: &dyn std::fmt::Display| ApiError::internal(error.to_string());
    let value = managed_fields::apply(resource.schema(), live, config, applier).map_err(|error| match error {
        ApplyError::Conflicts(conflicts) => ApiError::apply_conflict(&conflicts),
        ApplyError::Json(error) => internal(&error),
    })?;
    let mut object = decode::from_value(resource, value, &mut Vec::new()).map_err(|error| internal(&error))?;
    let text = |pointer: &str| config.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let metadata = object.metadata_mut();
    // Only what the configuration says is a condition, not what was just read.
    metadata.resource_version = text("/metadata/resourceVersion");
    if let Some(uid) = text("/metadata/uid") {
        metadata.uid = Some(uid);
    }
    if live.is_none() {
        metadata.name = text("/metadata/name");
        metadata.namespace.clone_from(&target.namespace);
    }
    Ok(object)
}

const MAX_TRIES: u32 = 5;
