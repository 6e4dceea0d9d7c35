//! What each operation does, on which wire, and what it sees.

use crate::stack;
use crate::story::event::millis;
use crate::story::inspect;
use crate::story::scenario::Operation;
use crate::story::scenario::operation::{
    FaultEffect, FaultTarget, Metric, Part, SecretName, SecretText, StoredSecret, VaultFault,
};
use crate::story::wire::{Ciphertext, Refusal, SecretData, version_id};

use super::RunError;
use super::lab::Lab;
use super::sight::{Outcome, Seen, Sight, StoredSight, kms_v2_record};

impl Lab {
    /// Does what the operation says, once.
    ///
    /// # Errors
    ///
    /// [`RunError`] if the stack itself fails. A refusal by a part is an [`Outcome`].
    pub(super) async fn act(&mut self, operation: &Operation) -> Result<Outcome, RunError> {
        match operation {
            Operation::AdvanceClock(by) => {
                let now = self.stack.clock().advance(by.duration()).map_err(RunError::Clock)?;
                return Ok(Ok(Sight::done(format!("the stack's clock shows {}", shown_time(now)))));
            }
            Operation::ClearFaults(_) => {
                self.stack.vault_control().await?.clear_all();
                return Ok(Ok(Sight::done("the vault serves again")));
            }
            Operation::InjectFault(fault) => {
                let injected = self.stack.vault_control().await?.inject(emulated(fault));
                return Ok(match injected {
                    Ok(_) => Ok(Sight::done(fault.to_string())),
                    Err(error) => Err(Refusal::nonsense(error.to_string())),
                });
            }
            Operation::Restart(part) => {
                self.stack
                    .restart(match part {
                        Part::ApiServer => stack::Part::ApiServer,
                        Part::Plugin => stack::Part::Plugin,
                    })
                    .await?;
                return Ok(Ok(Sight::done(format!("the {part} has been stopped and started"))));
            }
            _ => {}
        }
        let outcome = self.ask(operation).await;
        let name = match operation {
            Operation::ReadMetric(metric) => metric.look.as_ref(),
            Operation::ReadStored(stored) => stored.look.as_ref(),
            Operation::VaultEncrypt(encrypt) => encrypt.look.as_ref(),
            _ => None,
        };
        self.remember(name, &outcome);
        Ok(outcome)
    }

    /// The operations that speak to a part of the stack.
    async fn ask(&mut self, operation: &Operation) -> Outcome {
        match operation {
            // Done by `act`.
            Operation::AdvanceClock(_)
            | Operation::ClearFaults(_)
            | Operation::InjectFault(_)
            | Operation::Restart(_) => Ok(Sight::new(Vec::new(), Seen::Nothing)),
            Operation::CheckHealth(health) => self.check_health(&health.path).await,
            Operation::CreateKey(key) => {
                let url = self.wires.vault.create(&self.key).await?;
                self.name_version(&key.version, &url);
                Ok(Sight::done(format!("the new key's version is {}", version_id(&url))))
            }
            Operation::CreateSecret(secret) => self.create_secret(secret).await,
            Operation::DeleteKey(_) => {
                self.wires.vault.delete(&self.key).await?;
                Ok(Sight::done("the key is soft-deleted: kept, but out of use"))
            }
            Operation::DeleteSecret(secret) => self.delete_secret(secret).await,
            Operation::DisableKeyVersion(key) => self.enable(&self.version(&key.version)?, false).await,
            Operation::EnableKeyVersion(key) => self.enable(&self.version(&key.version)?, true).await,
            Operation::GetSecret(secret) => self.get_secret(secret).await,
            Operation::ListSecrets(list) => {
                let mut names = self.wires.kubernetes.list(list.namespace.as_deref()).await?;
                names.sort();
                Ok(Sight::new(names.clone(), Seen::Names(names)))
            }
            Operation::PurgeKey(_) => {
                self.wires.vault.purge(&self.key).await?;
                Ok(Sight::done("the key is destroyed"))
            }
            Operation::ReadKeyId(holder) => match holder.of {
                Part::ApiServer => self.api_server_key_id().await,
                Part::Plugin => self.plugin_key_id().await,
            },
            Operation::ReadMetric(metric) => self.read_metric(metric).await,
            Operation::ReadStored(secret) => self.read_stored(secret).await,
            Operation::RecoverKey(_) => {
                self.wires.vault.recover(&self.key).await?;
                Ok(Sight::done("the key is back, with all its versions"))
            }
            Operation::ReplaceSecret(secret) => self.replace_secret(secret).await,
            Operation::RewriteSecrets(_) => self.rewrite_secrets().await,
            Operation::RotateKey(key) => {
                let url = self.wires.vault.rotate(&self.key).await?;
                self.name_version(&key.version, &url);
                Ok(Sight::done(format!("the new version is {}", version_id(&url))))
            }
            Operation::VaultDecrypt(decrypt) => {
                let ciphertext = self.ciphertext(self.look(&decrypt.of)?)?;
                let plaintext = self.wires.vault.decrypt(&ciphertext).await?;
                let line = format!("the vault has decrypted it, with version {}", version_id(&ciphertext.version_url));
                Ok(Sight::new(vec![line], Seen::Plaintext(plaintext.to_vec())))
            }
            Operation::VaultEncrypt(encrypt) => {
                let url = self.version(&encrypt.version)?;
                let ciphertext = self.wires.vault.encrypt(&url, encrypt.text.as_bytes()).await?;
                let line = format!("the vault has encrypted it, with version {}", version_id(&url));
                Ok(Sight::new(vec![line], Seen::Ciphertext(ciphertext)))
            }
        }
    }

    async fn check_health(&self, path: &str) -> Outcome {
        let (status, body) = self.wires.kubernetes.fetch(path).await?;
        let mut lines = vec![format!("HTTP {status}")];
        lines.extend(body.lines().map(str::to_owned));
        Ok(Sight::new(lines, Seen::Health { status, body }))
    }

    async fn create_secret(&mut self, secret: &SecretText) -> Outcome {
        self.touch(&secret.namespace, &secret.name);
        let created = self.wires.kubernetes.create(&secret.namespace, &secret.name, &secret.text).await?;
        Ok(Sight::done(format!("created, resourceVersion {}", created.resource_version)))
    }

    async fn delete_secret(&mut self, secret: &SecretName) -> Outcome {
        self.touch(&secret.namespace, &secret.name);
        self.wires.kubernetes.delete(&secret.namespace, &secret.name).await?;
        Ok(Sight::done("deleted"))
    }

    async fn replace_secret(&mut self, secret: &SecretText) -> Outcome {
        self.touch(&secret.namespace, &secret.name);
        let replaced = self.wires.kubernetes.replace(&secret.namespace, &secret.name, &secret.text).await?;
        Ok(Sight::done(format!("replaced, resourceVersion {}", replaced.resource_version)))
    }

    async fn get_secret(&mut self, secret: &SecretName) -> Outcome {
        self.touch(&secret.namespace, &secret.name);
        let SecretData { data, .. } = self.wires.kubernetes.read(&secret.namespace, &secret.name).await?;
        let lines = data.iter().map(|(key, value)| format!("{key} = {}", value.escape_ascii())).collect();
        Ok(Sight::new(lines, Seen::Text(data)))
    }

    async fn rewrite_secrets(&self) -> Outcome {
        let rewrite = self.wires.kubernetes.rewrite().await?;
        let mut lines: Vec<_> = rewrite.rewritten.iter().map(|name| format!("{name} was stale: stored anew")).collect();
        lines.extend(rewrite.untouched.iter().map(|name| format!("{name} was not stale: left as it is")));
        let (rewritten, untouched) = (rewrite.rewritten.len(), rewrite.untouched.len());
        Ok(Sight::new(lines, Seen::Rewrite { rewritten, untouched }))
    }

    async fn read_metric(&self, metric: &Metric) -> Outcome {
        let samples = self.wires.kubernetes.metrics().await?;
        let value = crate::story::wire::sum(&samples, &metric.name, &metric.labels);
        Ok(Sight::new(vec![format!("{} = {value}", metric.name)], Seen::Metric(value)))
    }

    async fn read_stored(&mut self, secret: &StoredSecret) -> Outcome {
        self.touch(&secret.namespace, &secret.name);
        let key = self.wires.etcd.secret_key(&secret.namespace, &secret.name);
        let value = self.wires.etcd.read(&key).await?;
        let record = kms_v2_record(&value.bytes);
        let key_id = record.as_ref().map(|record| record.key_id().as_str().to_owned());
        let key_version = key_id.as_deref().map(|key_id| self.name_of_key_id(key_id));
        let stale = match (&key_id, &self.wires.plugin) {
            // A plugin that is not healthy has no key id to compare with, and that is no failure of this look.
            (Some(key_id), Some(plugin)) => plugin.status().await.ok().map(|status| status.key_id != *key_id),
            _ => None,
        };
        let seen_before = self.looks.iter().find(|(_, seen)| match seen {
            Seen::Stored(earlier) => earlier.value == value,
            _ => false,
        });
        let mut lines = match seen_before {
            Some((name, _)) => vec![format!("the same {} bytes as `{name}`", value.bytes.len())],
            None => inspect::table(&value),
        };
        if let Some(version) = &key_version {
            lines.push(String::new());
            lines.push(match stale {
                Some(true) => {
                    format!("sealed under key version `{version}`, stale: the plugin names another key id now")
                }
                Some(false) => format!("sealed under key version `{version}`, which is the plugin's"),
                None => format!("sealed under key version `{version}`"),
            });
        }
        Ok(Sight::new(lines, Seen::Stored(StoredSight { value, key_version, stale })))
    }

    async fn plugin_key_id(&self) -> Outcome {
        let Some(plugin) = &self.wires.plugin else {
            return Err(Refusal::not_found("this stack has no KMS plugin"));
        };
        let status = plugin.status().await?;
        let version = self.name_of_key_id(&status.key_id);
        let lines = vec![
            format!("Status answers: version {}, healthz {}", status.version, status.healthz),
            format!("key id {}", status.key_id),
        ];
        Ok(Sight::new(lines, Seen::KeyVersion(version)))
    }

    /// The key id that the API server last took over.
    ///
    /// The metric is set when Status has been answered, before the new seed is there. The health check is then asked: a
    /// kube-apiserver runs one check at a time, so its answer comes after the seed.
    async fn api_server_key_id(&self) -> Outcome {
        let samples = self.wires.kubernetes.metrics().await?;
        let latest = samples
            .iter()
            .filter(|sample| sample.name == STATUS_KEY_ID)
            .max_by(|a, b| a.value.total_cmp(&b.value))
            .and_then(|sample| sample.labels.get("key_id_hash").cloned());
        let Some(hash) = latest else {
            return Err(Refusal::not_found(format!("the API server shows no {STATUS_KEY_ID}")));
        };
        let (status, body) = self.wires.kubernetes.fetch(KMS_HEALTH).await?;
        if status != OK {
            return Err(Refusal::nonsense(format!("{KMS_HEALTH} answers {status}: {}", body.trim_end())));
        }
        let version = self.name_of_key_id_hash(&hash);
        let lines = vec![format!("{KMS_HEALTH} answers: ok"), format!("key id hash {hash}")];
        Ok(Sight::new(lines, Seen::KeyVersion(version)))
    }

    async fn enable(&self, version_url: &str, enabled: bool) -> Outcome {
        self.wires.vault.enable(version_url, enabled).await?;
        let state = if enabled { "enabled" } else { "disabled" };
        Ok(Sight::done(format!("version {} is {state}", version_id(version_url))))
    }

    /// What the vault can be asked to decrypt: a ciphertext of its own, or the encrypted DEK source of a stored value.
    fn ciphertext(&self, seen: &Seen) -> Result<Ciphertext, Refusal> {
        match seen {
            Seen::Ciphertext(ciphertext) => Ok(ciphertext.clone()),
            Seen::Stored(sight) => {
                let record = kms_v2_record(&sight.value.bytes)
                    .ok_or_else(|| Refusal::nonsense("the stored value is no KMS v2 record"))?;
                let version_url = self.version_of_key_id(record.key_id().as_str())?;
                let value = String::from_utf8_lossy(record.encrypted_dek_source().as_bytes()).into_owned();
                Ok(Ciphertext { version_url, value })
            }
            _ => Err(Refusal::nonsense("what was seen is nothing that a vault can decrypt")),
        }
    }

    fn touch(&mut self, namespace: &str, name: &str) {
        self.touched.insert((namespace.to_owned(), name.to_owned()));
    }
}

/// A story's fault as the vault's control door takes it.
fn emulated(fault: &VaultFault) -> keyvault::Fault {
    let target = match fault.on {
        FaultTarget::Decrypt => keyvault::FaultTarget::Operation(keyvault::Operation::KeyDecrypt),
        FaultTarget::Encrypt => keyvault::FaultTarget::Operation(keyvault::Operation::KeyEncrypt),
        FaultTarget::Everything => keyvault::FaultTarget::Everything,
        FaultTarget::Identity => keyvault::FaultTarget::Identity,
    };
    let effect = match &fault.effect {
        FaultEffect::Delay(by) => keyvault::FaultEffect::Delay { millis: millis(by.duration()) },
        FaultEffect::Drop => keyvault::FaultEffect::Drop,
        FaultEffect::Hang => keyvault::FaultEffect::Hang,
        FaultEffect::Refuse(status) => keyvault::FaultEffect::Refuse {
            status: *status,
            code: None,
            inner_code: None,
            message: None,
            retry_after_seconds: None,
        },
    };
    keyvault::Fault { target, count: fault.times, ..keyvault::Fault::new(effect) }
}

/// To the second: the fraction is the real clock's.
fn shown_time(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// When the API server last heard which key id from the plugin.
const STATUS_KEY_ID: &str = "apiserver_envelope_encryption_key_id_hash_status_last_timestamp_seconds";

const KMS_HEALTH: &str = "/healthz/kms-providers";

const OK: u16 = 200;
