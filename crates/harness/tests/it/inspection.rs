//! Inspection of a running stack, by its ready file alone.

use std::collections::BTreeMap;

use harness::stack::{EncryptionAtRest, Progress, Stack, StackConfig};
use harness::story::inspect::{InspectError, Inspection, KeyUse, Opened, Sealing};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use tokio_util::sync::CancellationToken;

use crate::runs::Place;

/// Where a stack that says nothing else stores everything.
const REGISTRY: &str = "/registry";

async fn start(place: &Place, encryption: EncryptionAtRest) -> Stack {
    let config = StackConfig { encryption, ..place.config() };
    Stack::start(config, &Progress::silent(), &CancellationToken::new()).await.unwrap()
}

/// Creates the Secret default/a with one entry.
async fn create(stack: &Stack) {
    let kubeconfig = Kubeconfig::read_from(stack.ready().kubeconfig.as_ref().unwrap()).unwrap();
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.proxy_url = None;
    let secrets: Api<Secret> = Api::namespaced(kube::Client::try_from(config).unwrap(), "default");
    let data = BTreeMap::from([("password".to_owned(), ByteString(b"correct-horse".to_vec()))]);
    let mut secret = Secret { data: Some(data), ..Secret::default() };
    secret.metadata.name = Some("a".to_owned());
    secrets.create(&PostParams::default(), &secret).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_secret_is_traced_to_its_key_version_and_opened() {
    let place = Place::new();
    let stack = start(&place, EncryptionAtRest::Kms).await;
    create(&stack).await;
    let inspection = Inspection::of_secret(stack.ready(), REGISTRY, "default", "a").await.unwrap();
    let Sealing::KmsV2 { provider, trace: Some(trace), .. } = &inspection.sealing else { panic!("{inspection:?}") };
    assert_eq!(provider, "azurekmsprovider");
    assert_eq!((trace.number, trace.versions, trace.enabled, trace.stale), (Some(1), 1, Some(true), Some(false)));
    assert_eq!(inspection.parts.iter().map(|part| part.end - part.start).sum::<usize>(), inspection.size_bytes);
    // Opened by the second implementation: what the first one sealed is what the format says.
    let Some(Opened::Yes { parts, .. }) = &inspection.opened else { panic!("{:?}", inspection.opened) };
    let named = |name: &str| parts.iter().find(|part| part.name == name).and_then(|part| part.value.clone());
    assert_eq!(named("Secret.metadata.name").as_deref(), Some("a"));
    assert_eq!(named("Secret.data.key").as_deref(), Some("password"));
    assert_eq!(named("Secret.data.value").as_deref(), Some("correct-horse"));

    let keys = KeyUse::of_stack(stack.ready(), REGISTRY).await.unwrap();
    let [version] = &keys.versions[..] else { panic!("{keys:?}") };
    assert_eq!(version.objects, ["/registry/secrets/default/a"]);
    assert_eq!((version.seeds, version.enabled, keys.strangers.len()), (1, true, 0));
    assert_eq!(Some(format!("{}/{}", version.key, version.version)), trace.version);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsealed_secret_is_shown_as_it_is() {
    let place = Place::new();
    let stack = start(&place, EncryptionAtRest::None).await;
    create(&stack).await;
    let inspection = Inspection::of_secret(stack.ready(), REGISTRY, "default", "a").await.unwrap();
    assert_eq!((&inspection.sealing, &inspection.opened), (&Sealing::None, &None));
    let keys = KeyUse::of_stack(stack.ready(), REGISTRY).await.unwrap();
    assert_eq!(keys.unencrypted_secrets, ["/registry/secrets/default/a"]);
    assert!(keys.versions.iter().all(|version| version.objects.is_empty()));
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_there_is_named() {
    let place = Place::new();
    let stack = start(&place, EncryptionAtRest::Kms).await;
    let error = Inspection::of_secret(stack.ready(), REGISTRY, "default", "nobody").await.unwrap_err();
    assert!(matches!(error, InspectError::NoSecret { .. }));
    assert_eq!(error.to_string(), "find the Secret default/nobody in etcd");
    stack.shutdown().await;
}
