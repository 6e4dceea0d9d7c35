//! Delete and delete-collection.
//!
//! Imitates `registry/generic/registry/store.go: Delete`: the object is read first, so one that cannot be decrypted
//! cannot be deleted either. An object with finalizers is marked and stays until the last of them is gone.
//! Differs: there is no garbage collector, so `propagationPolicy` is read and means nothing.

use http::StatusCode;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::core::Core;
use crate::http::{Answer, ApiRequest, DeleteOptions, Reply, Target, list_query};
use crate::namespaces;
use crate::object::Object;
use crate::resource::Resource;
use crate::status::{self, ApiError};
use crate::store::StoreError;

/// Deletes one object.
pub(crate) async fn delete(core: &Core, target: &Target, name: &str, request: &ApiRequest) -> Result<Reply, ApiError> {
    let options = request.delete_options()?;
    if target.resource == Resource::Namespaces {
        let namespace = namespaces::terminate(core, name, &options).await?;
        return Ok(Answer::Object(StatusCode::OK, Box::new(namespace)).into());
    }
    let answer = match remove(core, target, name, &options).await? {
        Removed::Gone(object) => Answer::Status(Box::new(status::deleted(target.resource, name, object.uid()))),
        Removed::Marked(object) => Answer::Object(StatusCode::OK, object),
    };
    Ok(answer.into())
}

/// Deletes every object that a list with the same query shows.
pub(crate) async fn delete_collection(core: &Core, target: &Target, request: &ApiRequest) -> Result<Reply, ApiError> {
    let options = request.delete_options()?;
    let query = list_query(target, &request.query)?;
    let mut page = core.store.list(&query).await.map_err(|error| error.for_client(target.resource, ""))?;
    for object in &page.items {
        let place = Target { resource: target.resource, namespace: Some(object.namespace().to_owned()) };
        match remove(core, &place, object.name(), &options).await {
            Ok(_) => {}
            // Somebody else was faster, which comes to the same.
            Err(error) if error.code() == StatusCode::NOT_FOUND => {}
            Err(error) => return Err(error),
        }
    }
    page.continuation = None;
    page.remaining = None;
    Ok(Answer::List(target.resource, page).into())
}

/// What became of an object that was to be removed.
#[derive(Debug)]
pub(crate) enum Removed {
    Gone(Box<Object>),
    /// It waits for its finalizers.
    Marked(Box<Object>),
}

/// Removes an object that lives in a namespace, or marks it if finalizers hold it.
pub(crate) async fn remove(
    core: &Core,
    target: &Target,
    name: &str,
    options: &DeleteOptions,
) -> Result<Removed, ApiError> {
    let resource = target.resource;
    loop {
        let current = core
            .store
            .get(resource, target.namespace(), name)
            .await
            .map_err(|error| error.for_client(resource, name))?;
        check_preconditions(&current.object, options)?;
        if current.object.has_finalizers() {
            if current.object.metadata().deletion_timestamp.is_some() || options.dry_run {
                return Ok(Removed::Marked(Box::new(current.object)));
            }
            let mut marked = current.object.clone();
            let metadata = marked.metadata_mut();
            metadata.deletion_timestamp = Some(Time(crate::object::whole_seconds(core.clock.now())));
            metadata.deletion_grace_period_seconds = Some(0);
            match core.store.update(&current, &marked).await {
                Ok(stored) => return Ok(Removed::Marked(Box::new(stored))),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.for_client(resource, name)),
            }
        } else if options.dry_run {
            return Ok(Removed::Gone(Box::new(current.object)));
        } else {
            match core.store.delete(&current).await {
                Ok(()) => return Ok(Removed::Gone(Box::new(current.object))),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(error.for_client(resource, name)),
            }
        }
    }
}

/// `rest/delete.go: BeforeDelete`, whose messages name the kind and not the resource.
pub(crate) fn check_preconditions(object: &Object, options: &DeleteOptions) -> Result<(), ApiError> {
    let kind = object.resource().kind();
    if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != object.uid()) {
        let record = object.uid();
        let text = format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({record}). The object might have been deleted and then recreated"
        );
        return Err(ApiError::conflict(kind, object.name(), &text));
    }
    if let Some(version) = options.resource_version.as_deref().filter(|version| *version != object.resource_version()) {
        let record = object.resource_version();
        let text = format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record ({record}). The object might have been modified"
        );
        return Err(ApiError::conflict(kind, object.name(), &text));
    }
    Ok(())
}
