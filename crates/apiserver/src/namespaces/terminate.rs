//! Deletion of namespaces: mark, empty, remove.
//!
//! Imitates `pkg/registry/core/namespace/storage` and, for the emptying, the namespace controller of
//! kube-controller-manager, which here is a task of the server. As upstream, a namespace with an object that cannot be
//! read stays `Terminating` until it can.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use crate::core::Core;
use crate::http::{DeleteOptions, Target};
use crate::object::{Object, whole_seconds};
use crate::resource::Resource;
use crate::selector::{FieldSelector, LabelSelector};
use crate::status::ApiError;
use crate::store::{At, ListQuery, StoreError};
use crate::verbs::{Removed, check_preconditions, remove};

/// Marks a namespace as terminating and has it emptied.
pub(crate) async fn terminate(core: &Core, name: &str, options: &DeleteOptions) -> Result<Object, ApiError> {
    let resource = Resource::Namespaces;
    if IMMORTAL.contains(&name) {
        return Err(ApiError::forbidden(resource, name, "this namespace may not be deleted"));
    }
    loop {
        let current = core.store.get(resource, "", name).await.map_err(|error| error.for_client(resource, name))?;
        check_preconditions(&current.object, options)?;
        if current.object.metadata().deletion_timestamp.is_some() {
            core.terminations.ask(name);
            return Ok(current.object);
        }
        let mut marked = current.object.clone();
        marked.metadata_mut().deletion_timestamp = Some(Time(whole_seconds(core.clock.now())));
        if let Object::Namespace(namespace) = &mut marked {
            namespace.status.get_or_insert_default().phase = Some("Terminating".into());
        }
        if options.dry_run {
            return Ok(marked);
        }
        match core.store.update(&current, &marked).await {
            Ok(stored) => {
                core.terminations.ask(name);
                return Ok(stored);
            }
            Err(StoreError::Conflict) => {}
            Err(error) => return Err(error.for_client(resource, name)),
        }
    }
}

/// Empties and removes terminating namespaces, those of an earlier run first, until the server ends.
pub(crate) async fn empty_terminating(core: Arc<Core>, mut names: mpsc::UnboundedReceiver<String>) {
    let mut waiting = Vec::new();
    let mut retry = interval(RETRY_EVERY);
    retry.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_scanned = false;
    loop {
        tokio::select! {
            () = core.shutdown.cancelled() => return,
            Some(name) = names.recv() => waiting.push(name),
            _ = retry.tick(), if !waiting.is_empty() || !is_scanned => {}
        }
        if !is_scanned {
            match terminating(&core).await {
                Ok(names) => {
                    waiting.extend(names);
                    is_scanned = true;
                }
                Err(error) => {
                    let cause = error.for_client(Resource::Namespaces, "");
                    tracing::warn!(error = cause.status().message, "list terminating namespaces");
                }
            }
        }
        waiting.sort();
        waiting.dedup();
        let mut left = Vec::new();
        for name in waiting {
            match finish(&core, &name).await {
                Ok(true) => {}
                Ok(false) => left.push(name),
                Err(error) => {
                    tracing::warn!(namespace = name, error = error.status().message, "empty a terminating namespace");
                    left.push(name);
                }
            }
        }
        waiting = left;
    }
}

async fn terminating(core: &Core) -> Result<Vec<String>, StoreError> {
    let page = core.store.list(&everything(Resource::Namespaces, None)).await?;
    let marked = page.items.into_iter().filter(|object| object.metadata().deletion_timestamp.is_some());
    Ok(marked.map(|object| object.name().to_owned()).collect())
}

/// Removes what is in a namespace, then the namespace. False if something of it has to stay for now.
async fn finish(core: &Core, name: &str) -> Result<bool, ApiError> {
    let mut is_empty = true;
    for resource in Resource::ALL.into_iter().filter(|resource| resource.is_namespaced()) {
        let target = Target { resource, namespace: Some(name.to_owned()) };
        let page =
            core.store.list(&everything(resource, Some(name))).await.map_err(|error| error.for_client(resource, ""))?;
        for object in page.items {
            match remove(core, &target, object.name(), &DeleteOptions::default()).await {
                Ok(Removed::Gone(_)) => {}
                Ok(Removed::Marked(_)) => is_empty = false,
                Err(error) if error.code() == StatusCode::NOT_FOUND => {}
                Err(error) => return Err(error),
            }
        }
    }
    if !is_empty {
        return Ok(false);
    }
    let resource = Resource::Namespaces;
    match core.store.get(resource, "", name).await {
        Err(StoreError::NotFound) => Ok(true),
        Err(error) => Err(error.for_client(resource, name)),
        Ok(current) if current.object.has_finalizers() => Ok(false),
        Ok(current) => match core.store.delete(&current).await {
            Ok(()) | Err(StoreError::NotFound) => Ok(true),
            Err(StoreError::Conflict) => Ok(false),
            Err(error) => Err(error.for_client(resource, name)),
        },
    }
}

fn everything(resource: Resource, namespace: Option<&str>) -> ListQuery {
    ListQuery {
        resource,
        namespace: namespace.map(str::to_owned),
        labels: LabelSelector::default(),
        fields: FieldSelector::default(),
        limit: 0,
        at: At::NotOlderThan(0),
    }
}

/// `NamespaceLifecycle`'s immortal namespaces.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];
/// How often a namespace that could not be removed is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(1);
