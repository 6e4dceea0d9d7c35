//! Create.

use http::StatusCode;

use super::prepare;
use super::update::Change;
use crate::core::Core;
use crate::http::{Answer, ApiRequest, Reply, Target, WriteKind, WriteOptions};
use crate::managed_fields;
use crate::object::Object;
use crate::resource::Resource;
use crate::status::ApiError;
use crate::store::StoreError;
use crate::validation;

/// Stores the object in the body.
pub(crate) async fn create(core: &Core, target: &Target, request: &ApiRequest) -> Result<Reply, ApiError> {
    let resource = target.resource;
    let options = WriteOptions::parse(WriteKind::Create, &request.query, &request.headers)?;
    let decoded = request.object(resource)?;
    let warnings = options.judge(decoded.strict).map_err(|text| {
        let kind = resource.kind();
        ApiError::bad_request(format!("{kind} in version \"v1\" cannot be handled as a {kind}: {text}"))
    })?;
    let mut object = decoded.object;
    prepare::match_namespace(&mut object, target.namespace())?;
    if !object.resource_version().is_empty() {
        return Err(ApiError::without_reason("resourceVersion should not be set on objects to be created"));
    }
    let created = store(core, Change::Edited(object), &options).await?;
    Ok(Reply { answer: Answer::Object(StatusCode::CREATED, Box::new(created)), warnings })
}

/// Completes, validates and stores `object`, with another name as long as a generated one is taken.
pub(super) async fn store(core: &Core, object: Change, options: &WriteOptions) -> Result<Object, ApiError> {
    let (object, is_tracked) = match object {
        Change::Applied(object) => (object, true),
        Change::Edited(object) => (object, false),
    };
    let resource = object.resource();
    let prefix = object.metadata().generate_name.clone().filter(|_| object.name().is_empty());
    let mut tries_left = if prefix.is_some() { MAX_NAME_TRIES } else { 1 };
    loop {
        tries_left -= 1;
        let namespace = open_namespace(core, &object).await?;
        let mut object = object.clone();
        if let Some(prefix) = &prefix {
            object.metadata_mut().name = Some(prepare::generated_name(prefix));
        }
        prepare::set_defaults(&mut object);
        let now = crate::object::whole_seconds(core.clock.now());
        if !is_tracked {
            managed_fields::track(None, &mut object, &options.field_manager, now)
                .map_err(|error| ApiError::internal(error.to_string()))?;
        }
        prepare::for_create(&mut object, now);
        let problems = validation::for_create(&object);
        if !problems.is_empty() {
            return Err(ApiError::invalid(resource.kind(), "", object.name(), &problems));
        }
        let outcome = if options.dry_run {
            match core.store.exists(&object).await {
                Ok(false) => return Ok(object),
                Ok(true) => Err(StoreError::Exists),
                Err(error) => Err(error),
            }
        } else {
            core.store.create(&object, namespace).await
        };
        match outcome {
            Ok(created) => return Ok(created),
            Err(StoreError::Exists) if tries_left > 0 => {}
            Err(StoreError::Exists) if prefix.is_some() => {
                return Err(ApiError::generated_name_exists(resource, object.name()));
            }
            // The namespace was written in between: look again whether it still takes objects.
            Err(StoreError::NamespaceChanged) => tries_left += 1,
            Err(error) => return Err(error.for_client(resource, object.name())),
        }
    }
}

/// The revision of the namespace that `object` goes into, which must be there and not on its way out.
///
/// Imitates `plugin/namespace/lifecycle/admission.go`, and does better: the revision guards the write, so that nothing
/// slips into a namespace that is deleted at the same moment.
async fn open_namespace(core: &Core, object: &Object) -> Result<Option<i64>, ApiError> {
    let resource = object.resource();
    if !resource.is_namespaced() {
        return Ok(None);
    }
    let name = object.namespace();
    match core.store.get(Resource::Namespaces, "", name).await {
        Ok(namespace) if namespace.object.metadata().deletion_timestamp.is_some() => {
            Err(ApiError::namespace_terminating(resource, object.name(), name))
        }
        Ok(namespace) => Ok(Some(namespace.revision)),
        Err(error) => Err(error.for_client(Resource::Namespaces, name)),
    }
}

/// `maxNameGenerationCreateAttempts` of the generic registry.
const MAX_NAME_TRIES: u32 = 8;
