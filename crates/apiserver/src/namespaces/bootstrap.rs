//! The namespaces that a server makes when it starts.
//!
//! Imitates `pkg/controlplane/controller/systemnamespaces`. Their managed fields name no manager, as upstream's do not:
//! they are stored by the server itself.

use k8s_openapi::api::core::v1::{Namespace, NamespaceSpec, NamespaceStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use uuid::Uuid;

use crate::core::Core;
use crate::object::{Object, whole_seconds};
use crate::store::StoreError;

/// Creates the system namespaces that are not there.
pub(crate) async fn bootstrap(core: &Core) -> Result<(), StoreError> {
    for name in SYSTEM_NAMESPACES {
        match core.store.create(&namespace(core, name), None).await {
            Ok(_) | Err(StoreError::Exists) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn namespace(core: &Core, name: &str) -> Object {
    Object::Namespace(Namespace {
        metadata: ObjectMeta {
            creation_timestamp: Some(Time(whole_seconds(core.clock.now()))),
            labels: Some([("kubernetes.io/metadata.name".to_owned(), name.to_owned())].into()),
            name: Some(name.to_owned()),
            uid: Some(Uuid::new_v4().to_string()),
            ..ObjectMeta::default()
        },
        spec: Some(NamespaceSpec { finalizers: Some(vec!["kubernetes".to_owned()]) }),
        status: Some(NamespaceStatus { conditions: None, phase: Some("Active".to_owned()) }),
    })
}

const SYSTEM_NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
