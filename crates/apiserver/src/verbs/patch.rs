//! Patch.

use http::header::CONTENT_TYPE;

use super::apply;
use super::update::{Change, write};
use crate::core::Core;
use crate::http::{ApiRequest, Reply, Target, WriteKind, WriteOptions};
use crate::object::{Object, decode};
use crate::patch::{Patch, PatchError};
use crate::status::ApiError;
use crate::validation::FieldProblem;

/// Applies the patch in the body to an object.
pub(crate) async fn patch(core: &Core, target: &Target, name: &str, request: &ApiRequest) -> Result<Reply, ApiError> {
    let content_type = request.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let content_type = content_type.split(';').next().unwrap_or_default().trim();
    if content_type == apply::CONTENT_TYPE {
        return apply::apply(core, target, name, request).await;
    }
    let patch = Patch::parse(content_type, &request.body)
        .ok_or_else(|| ApiError::unsupported_media_type(&format!("{}, {}", Patch::ACCEPTED, apply::CONTENT_TYPE)))?
        .map_err(|error| refused(&error))?;
    let options = WriteOptions::parse(WriteKind::Patch, &request.query, &request.headers)?;
    let mut warnings = Vec::new();
    let answer = write(core, target, name, &options, |current| {
        let (object, found) = patched(&patch, current, &options, &request.body)?;
        warnings = found;
        Ok(Change::Edited(object))
    })
    .await?;
    Ok(Reply { answer, warnings })
}

fn patched(
    patch: &Patch,
    current: &Object,
    options: &WriteOptions,
    body: &[u8],
) -> Result<(Object, Vec<String>), ApiError> {
    let resource = current.resource();
    let before = current.to_json().map_err(|error| ApiError::internal(error.to_string()))?;
    let after = patch.apply(resource.schema(), before).map_err(|error| refused(&error))?;
    let mut strict = patch.repeated().to_vec();
    let invalid = |text: String| {
        let problem = FieldProblem::invalid("patch", &String::from_utf8_lossy(body), text);
        ApiError::invalid("", "", "", &[problem])
    };
    let mut object = decode::from_value(resource, after, &mut strict).map_err(|error| invalid(error.to_string()))?;
    // A version that the patch did not bring is that of the object it was applied to: it is no condition.
    if object.resource_version() == current.resource_version() {
        object.metadata_mut().resource_version = None;
    }
    let warnings = options.judge(strict).map_err(invalid)?;
    Ok((object, warnings))
}

fn refused(error: &PatchError) -> ApiError {
    match error {
        PatchError::DoesNotApply => ApiError::unprocessable(),
        PatchError::TooManyOperations { .. } => ApiError::too_large(&error.to_string()),
        PatchError::Decode(_) | PatchError::Directive { .. } | PatchError::NotAnObject => {
            ApiError::bad_request(error.to_string())
        }
    }
}
