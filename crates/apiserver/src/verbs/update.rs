//! Update, and the write that update and patch share.
//!
//! Imitates `registry/generic/registry/store.go: Update` with `GuaranteedUpdate`: the object is read, changed and
//! written on the revision that was read; who names no resourceVersion is tried again on a newer one.

use http::StatusCode;

use super::prepare;
use crate::core::Core;
use crate::http::{Answer, ApiRequest, Reply, Target, WriteKind, WriteOptions};
use crate::managed_fields;
use crate::object::Object;
use crate::status::ApiError;
use crate::store::{Current, StoreError};
use crate::validation::{self, FieldProblem};

/// Replaces an object by the one in the body.
pub(crate) async fn update(core: &Core, target: &Target, name: &str, request: &ApiRequest) -> Result<Reply, ApiError> {
    let resource = target.resource;
    let options = WriteOptions::parse(WriteKind::Update, &request.query, &request.headers)?;
    let decoded = request.object(resource)?;
    let warnings = options.judge(decoded.strict).map_err(|text| {
        let kind = resource.kind();
        ApiError::bad_request(format!("{kind} in version \"v1\" cannot be handled as a {kind}: {text}"))
    })?;
    let mut object = decoded.object;
    if object.name().is_empty() {
        let text = format!("the name of the object ({name} based on URL) was undeterminable: name must be provided");
        return Err(ApiError::bad_request(text));
    }
    if object.name() != name {
        let given = object.name();
        let text = format!("the name of the object ({given}) does not match the name on the URL ({name})");
        return Err(ApiError::bad_request(text));
    }
    prepare::match_namespace(&mut object, target.namespace())?;
    let answer = write(core, target, name, &options, |_| Ok(Change::Edited(object.clone()))).await?;
    Ok(Reply { answer, warnings })
}

/// A changed object, and how its managed fields come about.
#[derive(Debug)]
pub(super) enum Change {
    /// They are part of it already.
    Applied(Object),
    /// They follow from what differs.
    Edited(Object),
}

/// Reads, changes and writes one object, again and again while other writers are faster.
pub(super) async fn write(
    core: &Core,
    target: &Target,
    name: &str,
    options: &WriteOptions,
    mut change: impl FnMut(&Object) -> Result<Change, ApiError>,
) -> Result<Answer, ApiError> {
    let resource = target.resource;
    for _ in 0..MAX_TRIES {
        let current = core
            .store
            .get(resource, target.namespace(), name)
            .await
            .map_err(|error| error.for_client(resource, name))?;
        let (mut new, is_tracked) = match change(&current.object)? {
            Change::Applied(new) => (new, true),
            Change::Edited(new) => (new, false),
        };
        let conditional = !new.resource_version().is_empty();
        check_preconditions(core, &current, &new)?;
        prepare::set_defaults(&mut new);
        prepare::for_update(&mut new, &current.object);
        if !is_tracked {
            let now = crate::object::whole_seconds(core.clock.now());
            managed_fields::track(Some(&current.object), &mut new, &options.field_manager, now)
                .map_err(|error| ApiError::internal(error.to_string()))?;
        }
        new.normalize();
        if managed_fields::differ_in_times_only(&new, &current.object) {
            new.metadata_mut().managed_fields.clone_from(&current.object.metadata().managed_fields);
        }
        let problems = validation::for_update(&new, &current.object);
        if !problems.is_empty() {
            return Err(ApiError::invalid(resource.kind(), "", name, &problems));
        }
        if options.dry_run {
            new.metadata_mut().resource_version.clone_from(&current.object.metadata().resource_version);
            return Ok(Answer::Object(StatusCode::OK, Box::new(new)));
        }
        // The last finalizer of a deleted object is gone, and the object goes with it.
        let finished = new.metadata().deletion_timestamp.is_some() && !new.has_finalizers();
        let outcome = if finished && resource.is_namespaced() {
            new.metadata_mut().resource_version.clone_from(&current.object.metadata().resource_version);
            core.store.delete(&current).await.map(|()| new)
        } else {
            core.store.update(&current, &new).await
        };
        match outcome {
            Ok(stored) => return Ok(Answer::Object(StatusCode::OK, Box::new(stored))),
            // A client that names no version wants its change on whatever there is now.
            Err(StoreError::Conflict) if !conditional => {}
            Err(error) => return Err(error.for_client(resource, name)),
        }
    }
    Err(ApiError::modified(resource, name))
}

/// What the new object says about the one that it replaces: its version and its uid.
fn check_preconditions(core: &Core, current: &Current, new: &Object) -> Result<(), ApiError> {
    let (old, resource) = (&current.object, new.resource());
    let (name, version) = (old.name(), new.resource_version());
    if !new.uid().is_empty() && new.uid() != old.uid() {
        let key = core.store.key(resource, old.namespace(), name);
        let text = format!(
            "StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {}, UID in object meta: {}",
            new.uid(),
            old.uid()
        );
        return Err(ApiError::conflict(resource.plural(), name, &text));
    }
    if version.is_empty() || version == old.resource_version() {
        return Ok(());
    }
    if version.parse::<u64>().is_err() {
        let detail = format!("strconv.ParseUint: parsing {version:?}: invalid syntax");
        let problem = FieldProblem::invalid("metadata.resourceVersion", version, detail);
        return Err(ApiError::invalid(resource.kind(), "", name, &[problem]));
    }
    Err(ApiError::modified(resource, name))
}

/// How often a write is tried when others are faster. Upstream tries until the request times out.
const MAX_TRIES: u32 = 50;
