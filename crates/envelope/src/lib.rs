//! kube-apiserver's encryption at rest as pure functions: no task, no socket, no clock, no environment.
//!
//! # The public API
//!
//! - [`EncryptionConfiguration::parse`] reads the file that `--encryption-provider-config` names;
//!   [`EncryptionConfiguration::chain`] gives the providers of a resource, [`Chain::attempts`] those to try on a value.
//! - [`Kms`] is one KMS v2 provider: [`Kms::check`] drives its health and its seed, [`Kms::writer`] gives the
//!   [`Writer`] that seals, [`Kms::read`] the [`Opener`] that opens. Where the plugin must be asked, a value
//!   ([`Check::AskStatus`], [`Check::AskEncrypt`], [`Read::AskDecrypt`]) says so, and the answer is handed back.
//! - [`KeyList`] is a provider whose keys stand in the file (`aescbc`, `aesgcm`, `secretbox`), [`KmsV1`] one of KMS v1.
//! - [`EncryptedObject`] is the record behind the prefix `k8s:enc:kms:v2:<name>:`; [`ProviderName::of_stored`] takes a
//!   stored value apart at that prefix.
//! - [`storage`] has the objects themselves, [`storage::decode`] and [`storage::encode`] their plain storage values.
//! - [`anatomy()`] names every byte of a stored value, encrypted or plain.
//!
//! Time is an argument (`now`), random bytes come from a [`Random`], KMS calls are made by the caller. Secret bytes are
//! [`KeyMaterial`]. Errors that a Kubernetes client sees print upstream's text, cause included, and have no `source()`.
//!
//! Imitates `k8s.io/apiserver` (`pkg/storage/value`, `pkg/server/options/encryptionconfig`, `pkg/apis/apiserver`) as of
//! Kubernetes 1.36, proved by values that a real kube-apiserver and its own library wrote (`tests/golden`);
//! `docs/upstream-tests.md` maps its tests to ours.
//!
//! ```
//! use envelope::{Check, EncryptAnswer, EncryptedObject, KeyMaterial, Kms, ProviderName, Read, StatusAnswer, SystemRandom};
//!
//! let now = "2026-11-24T20:53:30Z".parse().unwrap();
//! let name = ProviderName::new("azurekmsprovider").unwrap();
//! let mut kms = Kms::new(name.clone());
//!
//! // A first check: Status, then Encrypt, because there is no seed yet. (This plugin "encrypts" by storing the seed.)
//! let Check::AskStatus = kms.check(now) else { panic!("nothing is remembered yet") };
//! let status = StatusAnswer { version: "v2".into(), healthz: "ok".into(), key_id: "1".into() };
//! let Check::AskEncrypt(seed) = kms.status_answered(Ok(status), now, &SystemRandom) else { panic!("no seed yet") };
//! let ciphertext = seed.expose_plaintext().to_vec();
//! let encrypted = EncryptAnswer { ciphertext, key_id: "1".into(), annotations: Default::default() };
//! kms.encrypt_answered(seed, Ok(encrypted), now).unwrap();
//!
//! // A write, and a read that finds the seed in the cache.
//! let key = "/registry/secrets/default/a";
//! let stored = kms.writer(now).unwrap().seal(key, b"plain", &SystemRandom).unwrap();
//! let object = EncryptedObject::decode(stored.strip_prefix(name.prefix().as_bytes()).unwrap()).unwrap();
//! let Read::Ready(opener) = kms.read(object, &SystemRandom).unwrap() else { panic!("cached") };
//! assert_eq!(opener.open(key).unwrap().plain, b"plain");
//! ```

mod anatomy;
mod annotations;
mod cache;
mod chain;
mod config;
mod dek_source;
mod gcm;
mod key_id;
mod keys;
mod kms;
mod kms_v1;
mod material;
mod object;
mod provider_name;
mod random;
mod rpc;
pub mod storage;
mod upstream;

pub use anatomy::{Part, anatomy};
pub use annotations::{Annotations, AnnotationsError};
pub use cache::{CACHE_TTL, CacheKey};
pub use chain::{Attempt, Chain, open_identity};
pub use config::{
    ConfigProblem, ConfigProblems, EncryptionConfiguration, GroupResource, KmsProvider, KmsVersion, ParseOptions,
    Provider, Rule,
};
pub use dek_source::{DekSourceError, EncryptedDekSource, EncryptedDekSourceError, SourceType};
pub use gcm::BodyError;
pub use key_id::{KeyId, KeyIdError};
pub use keys::{KeyCipher, KeyList, NamedKey};
pub use kms::{
    CHECK_INTERVAL, Check, EncryptAnswer, GenerateError, HEALTHY_TTL, HealthError, Kms, OpenError, Opened, Opener,
    PendingRead, PendingSeed, RETRY_INTERVAL, Read, RotateError, SealError, StatusAnswer, StatusProblem, UNHEALTHY_TTL,
    WRITE_GRACE, Writer,
};
pub use kms_v1::{DekV1, KmsV1, KmsV1Error, OpenerV1, PendingDek, PendingReadV1, ProbeV1, ReadV1};
pub use material::KeyMaterial;
pub use object::{DecodeError, EncryptedObject, LimitError};
pub use provider_name::ProviderName;
pub use random::{Random, RandomError, SystemRandom};
pub use rpc::{RpcCode, RpcError};
