//! The life of a provider's seed: made at the start and when the key id changes, good for writes as long as the plugin
//! has been heard of in the last three minutes, good for reads for ever.
//!
//! Imitates `kmsv2PluginProbe` of kube-apiserver's `encryptionconfig/config.go` (`check`, `rotateDEKOnKeyIDChange`,
//! `isKMSv2ProviderHealthyAndMaybeRotateDEK`). Seeds are never replaced by age or by count.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::health::{GenerateError, HealthError, RotateError, StatusProblem};
use super::writer::{SealError, Writer};
use crate::annotations::Annotations;
use crate::cache::CacheKey;
use crate::dek_source::{DekSource, EncryptedDekSource, Seed, SourceType};
use crate::key_id::{KeyId, hash_if_not_empty};
use crate::object::LimitError;
use crate::provider_name::ProviderName;
use crate::random::{self, Random};
use crate::rpc::RpcError;

/// How long after the start of the last good check a seed may still write (`kmsv2PluginWriteDEKSourceMaxTTL`).
pub const WRITE_GRACE: SignedDuration = SignedDuration::from_mins(3);
/// How often a healthy provider is checked without anybody asking (`kmsv2PluginHealthzPositiveInterval`).
pub const CHECK_INTERVAL: Duration = Duration::from_mins(1);
/// How often an unhealthy one is (`kmsv2PluginHealthzNegativeInterval`).
pub const RETRY_INTERVAL: Duration = Duration::from_secs(10);
/// How long a good outcome is told again without asking the plugin (`kmsPluginHealthzPositiveTTL`).
pub const HEALTHY_TTL: SignedDuration = SignedDuration::from_secs(20);
/// How long a bad one is (`kmsPluginHealthzNegativeTTL`).
pub const UNHEALTHY_TTL: SignedDuration = SignedDuration::from_secs(3);

/// What a plugin answers to Status.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StatusAnswer {
    /// `version`: `v2` or `v2beta1`.
    pub version: String,
    /// `healthz`: `ok`, or what is wrong.
    pub healthz: String,
    /// `key_id`: the key that Encrypt would use now.
    pub key_id: String,
}

/// What a plugin answers to Encrypt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct EncryptAnswer {
    /// `ciphertext`.
    pub ciphertext: Vec<u8>,
    /// `key_id`: the key it used.
    pub key_id: String,
    /// `annotations`.
    pub annotations: BTreeMap<String, Vec<u8>>,
}

/// The next move of a check.
#[derive(Debug)]
#[must_use = "a check goes on until it is done"]
pub enum Check {
    /// Ask the plugin to Encrypt [`PendingSeed::expose_plaintext`], then call [`Kms::encrypt_answered`](super::Kms).
    AskEncrypt(PendingSeed),
    /// Ask the plugin for Status, then call [`Kms::status_answered`](super::Kms).
    AskStatus,
    /// The outcome.
    Done(Result<(), HealthError>),
}

/// A seed that the plugin has yet to encrypt.
#[derive(Debug)]
pub struct PendingSeed {
    seed: Seed,
    uid: String,
    status_key_id: KeyId,
    expires: Timestamp,
    problems: Vec<StatusProblem>,
}

impl PendingSeed {
    /// `uid` of the Encrypt request.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// `plaintext` of the Encrypt request: the seed itself, in the clear.
    pub fn expose_plaintext(&self) -> &[u8] {
        self.seed.expose()
    }
}

#[derive(Debug)]
pub(super) struct Lifecycle {
    provider: ProviderName,
    current: Option<Current>,
    /// The first valid `version`; it must never change.
    version: Option<String>,
    last: Option<LastCheck>,
}

#[derive(Debug)]
struct Current {
    writer: Arc<Writer>,
    expires: Timestamp,
}

#[derive(Debug)]
struct LastCheck {
    at: Timestamp,
    remembered: Result<(), HealthError>,
}

impl Lifecycle {
    pub(super) fn new(provider: ProviderName) -> Self {
        Self { provider, current: None, version: None, last: None }
    }

    /// The seed that reads compare with; it does not matter whether it may still write.
    pub(super) fn current(&self) -> Option<&Arc<Writer>> {
        self.current.as_ref().map(|current| &current.writer)
    }

    /// The seed that writes use, if it may still write.
    pub(super) fn writer(&self, now: Timestamp) -> Result<&Arc<Writer>, SealError> {
        let Current { writer, expires } = self.current.as_ref().ok_or(SealError::NoSeed)?;
        if now > *expires {
            return Err(SealError::Expired { key_id: writer.key_id.clone(), expired: *expires, now });
        }
        Ok(writer)
    }

    pub(super) fn last_check(&self) -> Option<Timestamp> {
        self.last.as_ref().map(|last| last.at)
    }

    pub(super) fn check(&self, now: Timestamp) -> Check {
        match &self.last {
            Some(last) if now.duration_since(last.at) < ttl(&last.remembered) => Check::Done(last.remembered.clone()),
            _ => Check::AskStatus,
        }
    }

    pub(super) fn status_answered(
        &mut self,
        answer: Result<StatusAnswer, RpcError>,
        now: Timestamp,
        random: &dyn Random,
    ) -> Check {
        let answer = match answer {
            Ok(answer) => answer,
            Err(cause) => {
                // Upstream remembers the bare cause, so a repeat reads differently from the first report.
                self.last = Some(LastCheck { at: now, remembered: Err(HealthError::Remembered(cause.clone())) });
                return Check::Done(Err(HealthError::Status { provider: self.provider.clone(), cause }));
            }
        };
        let mut problems = self.version_and_healthz_problems(&answer);
        let status_key_id = match KeyId::new(answer.key_id.as_str()) {
            Ok(key_id) => key_id,
            Err(cause) => {
                problems.push(StatusProblem::KeyId { hash: hash_if_not_empty(&answer.key_id), cause });
                return Check::Done(self.finish(problems, now));
            }
        };
        // A valid key id counts even if `healthz` or `version` is bad: the seed must follow the key.
        let expires = now.checked_add(WRITE_GRACE).unwrap_or(Timestamp::MAX);
        match &mut self.current {
            Some(current) if current.writer.key_id == status_key_id => {
                current.expires = expires;
                Check::Done(self.finish(problems, now))
            }
            _ => match new_seed(random) {
                Ok((seed, uid)) => Check::AskEncrypt(PendingSeed { seed, uid, status_key_id, expires, problems }),
                Err(error) => {
                    let error = self.rotate_error(String::new(), &status_key_id, "", Some(error));
                    problems.push(StatusProblem::Rotate(error));
                    Check::Done(self.finish(problems, now))
                }
            },
        }
    }

    pub(super) fn encrypt_answered(
        &mut self,
        pending: PendingSeed,
        answer: Result<EncryptAnswer, RpcError>,
        now: Timestamp,
    ) -> Result<(), HealthError> {
        let PendingSeed { seed, uid, status_key_id, expires, mut problems } = pending;
        let made = answer
            .map_err(GenerateError::Encrypt)
            .and_then(|answer| self.writer_of(seed, uid.clone(), answer).map_err(GenerateError::Limit));
        match made {
            Ok(writer) if writer.key_id == status_key_id => {
                self.current = Some(Current { writer: Arc::new(writer), expires });
            }
            Ok(writer) => {
                let error = self.rotate_error(uid, &status_key_id, &writer.key_id.hash(), None);
                problems.push(StatusProblem::Rotate(error));
            }
            Err(error) => {
                problems.push(StatusProblem::Rotate(self.rotate_error(uid, &status_key_id, "", Some(error))));
            }
        }
        self.finish(problems, now)
    }

    fn version_and_healthz_problems(&mut self, answer: &StatusAnswer) -> Vec<StatusProblem> {
        let mut problems = Vec::new();
        if answer.healthz != "ok" {
            problems.push(StatusProblem::Healthz { healthz: answer.healthz.clone() });
        }
        let version = &answer.version;
        if !VERSIONS.contains(&version.as_str()) {
            problems.push(StatusProblem::Version { version: version.clone() });
            return problems;
        }
        let first = self.version.get_or_insert_with(|| version.clone());
        if first != version {
            problems.push(StatusProblem::VersionChanged { first: first.clone(), now: version.clone() });
        }
        problems
    }

    fn writer_of(&self, seed: Seed, uid: String, answer: EncryptAnswer) -> Result<Writer, LimitError> {
        // In the order of upstream's validation, which decides the text.
        let encrypted_dek_source = EncryptedDekSource::new(answer.ciphertext).map_err(LimitError::DekSource)?;
        let key_id = KeyId::new(answer.key_id).map_err(LimitError::KeyId)?;
        let annotations = Annotations::new(answer.annotations).map_err(LimitError::Annotations)?;
        Ok(Writer {
            cache_key: CacheKey::new(
                SourceType::HkdfSha256XnonceAesGcmSeed,
                &encrypted_dek_source,
                &key_id,
                &annotations,
            ),
            source: Arc::new(DekSource::Seed(seed)),
            key_id,
            encrypted_dek_source,
            annotations,
            uid,
            prefix: self.provider.prefix(),
        })
    }

    fn rotate_error(
        &self,
        uid: String,
        status_key_id: &KeyId,
        encrypt_key_id_hash: &str,
        generate: Option<GenerateError>,
    ) -> RotateError {
        let current = self.current.as_ref();
        RotateError {
            uid,
            had_no_seed: current.is_none(),
            generate,
            status_key_id_hash: status_key_id.hash(),
            encrypt_key_id_hash: encrypt_key_id_hash.to_owned(),
            state_key_id_hash: current.map(|current| current.writer.key_id.hash()).unwrap_or_default(),
            expires: current.map(|current| current.expires),
        }
    }

    fn finish(&mut self, problems: Vec<StatusProblem>, now: Timestamp) -> Result<(), HealthError> {
        let outcome = if problems.is_empty() {
            Ok(())
        } else {
            Err(HealthError::Unhealthy { provider: self.provider.clone(), problems })
        };
        self.last = Some(LastCheck { at: now, remembered: outcome.clone() });
        outcome
    }
}

fn ttl(outcome: &Result<(), HealthError>) -> SignedDuration {
    if outcome.is_ok() { HEALTHY_TTL } else { UNHEALTHY_TTL }
}

fn new_seed(random: &dyn Random) -> Result<(Seed, String), GenerateError> {
    let seed = Seed::generate(random).map_err(GenerateError::Random)?;
    let uid = new_uid(random).map_err(GenerateError::Random)?;
    Ok((seed, uid))
}

/// A request id: a random UUID.
pub(super) fn new_uid(random: &dyn Random) -> Result<String, random::RandomError> {
    let bytes = random::bytes(random)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid().to_string())
}

/// The versions of the API that are one: `v2beta1` became `v2` unchanged.
const VERSIONS: [&str; 2] = ["v2", "v2beta1"];
