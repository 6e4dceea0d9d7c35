//! Carries a command on keys out and writes the answer.

use std::sync::Arc;

use http::StatusCode;
use serde::Serialize;

use crate::config::VaultKind;
use crate::emulator::{LiveVault, ServiceError};
use crate::http::api_error::ApiError;
use crate::http::keys::command::{KeyCommand, VersionDraft};
use crate::http::keys::crypt::{CryptInput, CryptOutput, KeyVerifyResult};
use crate::http::keys::key_type;
use crate::http::keys::rotation::{RotationPolicyDraft, RotationPolicyWire};
use crate::http::keys::route::Crypt;
use crate::http::keys::wire::KeyList;
use crate::http::page::Page;
use crate::http::reply::Reply;
use crate::http::route::VersionRef;
use crate::http::view::{Answer, VaultView, put};
use crate::http::{assumed, base64url};
use crate::storage::{open_key, seal_key};
use crate::vault::{
    BackupKey, Contents, ContentsChange, Key, KeyMaterial, KeyType, KeyVersion, NewVersion, ObjectKind, ObjectName,
    Patch, RotationPolicy, VersionId,
};

impl VaultView<'_> {
    /// Carries out `command`.
    ///
    /// # Errors
    ///
    /// The vault's refusals, and 500 if the emulator itself fails.
    pub(in crate::http) async fn carry_out_on_keys(&self, command: KeyCommand) -> Result<Answer, ApiError> {
        match command {
            KeyCommand::Backup { name } => self.backup_key(&name).await,
            KeyCommand::Create { name, key_type, draft } => self.create_key(name, key_type, draft).await,
            KeyCommand::Crypt { crypt, name, version, input } => self.crypt(crypt, name, &version, input).await,
            KeyCommand::Delete { name } => {
                let key = self.vault.change(move |vault, now| Ok(put_key(vault.keys.delete(&name, now)?))).await?;
                Ok(self.key(&key, key.latest()))
            }
            KeyCommand::Get { name, version } => self.get_key(&name, &version).await,
            KeyCommand::GetDeleted { name } => {
                let look = self.vault.read(|vault, now| Ok(Arc::clone(vault.keys.find_deleted(&name, now)?.0)));
                let key = look.await?;
                Ok(self.key(&key, key.latest()))
            }
            KeyCommand::GetRotationPolicy { name } => {
                let key = self.vault.read(|vault, _| Ok(Arc::clone(vault.keys.find(&name)?))).await?;
                Ok(self.rotation_policy(&key))
            }
            KeyCommand::Import { name, material, hsm, draft } => self.import_key(name, material, hsm, draft).await,
            KeyCommand::List { page } => {
                let (keys, next_link) = self.objects(&page, "keys", |vault| &vault.keys).await?;
                Ok(self.key_list(&keys, next_link))
            }
            KeyCommand::ListDeleted { page } => {
                let (keys, next_link) = self.deleted_objects(&page, "deletedkeys", |vault| &vault.keys).await?;
                Ok(self.key_list(&keys, next_link))
            }
            KeyCommand::ListVersions { name, page } => self.list_key_versions(&name, &page).await,
            KeyCommand::Purge { name } => {
                let purge = move |vault: &Contents, now| Ok((ContentsChange::Key(vault.keys.purge(&name, now)?), ()));
                self.vault.change(purge).await?;
                Ok(Answer::purged())
            }
            KeyCommand::RandomBytes { count } => self.random_bytes(count),
            KeyCommand::Recover { name } => {
                let key = self.vault.change(move |vault, now| Ok(put_key(vault.keys.recover(&name, now)?))).await?;
                Ok(self.key(&key, key.latest()))
            }
            KeyCommand::Release { name, version } => self.release(&name, &version).await,
            KeyCommand::Restore { blob } => self.restore_key(blob).await,
            KeyCommand::Rotate { name } => self.rotate_key(name).await,
            KeyCommand::SetRotationPolicy { name, policy } => self.set_rotation_policy(name, policy).await,
            KeyCommand::Update { name, version, patch } => self.update_key(name, &version, patch).await,
        }
    }

    async fn create_key(&self, name: ObjectName, key_type: KeyType, draft: VersionDraft) -> Result<Answer, ApiError> {
        key_type::check(self.vault, key_type)?;
        // Asked first, because making the material takes long; asked again when it is there.
        self.vault.read(|vault, now| vault.keys.check_name(&name, now)).await?;
        let (material, id) = LiveVault::generate(key_type.shape).await?;
        self.add_key(name, id, material, key_type, draft).await
    }

    async fn import_key(
        &self,
        name: ObjectName,
        material: Arc<KeyMaterial>,
        hsm: bool,
        draft: VersionDraft,
    ) -> Result<Answer, ApiError> {
        let key_type = KeyType { shape: material.shape(), hsm };
        key_type::check(self.vault, key_type)?;
        let id = LiveVault::version_id()?;
        self.add_key(name, id, material, key_type, draft).await
    }

    async fn add_key(
        &self,
        name: ObjectName,
        id: VersionId,
        material: Arc<KeyMaterial>,
        key_type: KeyType,
        draft: VersionDraft,
    ) -> Result<Answer, ApiError> {
        let new = NewVersion {
            material,
            hsm: key_type.hsm,
            operations: draft.operations.unwrap_or_else(|| key_type.shape.default_operations().to_vec()),
            validity: draft.validity,
            tags: draft.tags,
            release_policy: draft.release_policy,
        };
        let create = move |vault: &Contents, now| Ok(put_key(vault.keys.create(&name, id, new, now)?));
        let key = self.vault.change(create).await?;
        Ok(self.key(&key, key.latest()))
    }

    async fn rotate_key(&self, name: ObjectName) -> Result<Answer, ApiError> {
        let shape = self.vault.read(|vault, _| Ok(vault.keys.find(&name)?.latest().material.shape())).await?;
        let (material, id) = LiveVault::generate(shape).await?;
        let rotate = move |vault: &Contents, now| Ok(put_key(vault.keys.rotate(&name, id, material, now)?));
        let key = self.vault.change(rotate).await?;
        Ok(self.key(&key, key.latest()))
    }

    async fn update_key(&self, name: ObjectName, version: &VersionRef, patch: Patch) -> Result<Answer, ApiError> {
        let version = version.resolve(ObjectKind::Key, &name)?;
        let update = move |vault: &Contents, now| {
            let (key, changed) = vault.keys.update(&name, version, patch, now)?;
            let (change, key) = put_key(key);
            Ok((change, (key, changed)))
        };
        let (key, version) = self.vault.change(update).await?;
        Ok(self.key(&key, &version))
    }

    async fn get_key(&self, name: &ObjectName, version: &VersionRef) -> Result<Answer, ApiError> {
        let version = version.resolve(ObjectKind::Key, name)?;
        let look = self.vault.read(|vault, _| {
            let (key, version) = vault.keys.find_version(name, version)?;
            version.permit_enabled("get")?;
            Ok((Arc::clone(key), Arc::clone(version)))
        });
        let (key, version) = look.await?;
        Ok(self.key(&key, &version))
    }

    async fn crypt(
        &self,
        crypt: Crypt,
        name: ObjectName,
        version: &VersionRef,
        input: CryptInput,
    ) -> Result<Answer, ApiError> {
        let wanted = version.resolve(ObjectKind::Key, &name)?;
        let look = self.vault.read(|vault, now| {
            let (key, version) = vault.keys.usable(crypt.key_operation(), &name, wanted, now)?;
            Ok((key.name().clone(), Arc::clone(version)))
        });
        let (shown, version) = look.await?;
        let kid = self.kid(&shown, version.id);
        let named = kid.clone();
        // A public operation takes some tens of microseconds; a private one takes up to several milliseconds.
        let output = if input.is_slow(crypt) {
            let work = move || input.carry_out(crypt, named, &version.material).map_err(ServiceError::Refused);
            LiveVault::compute(work).await?
        } else {
            input.carry_out(crypt, named, &version.material)?
        };
        let reply = match output {
            CryptOutput::Bytes(result) => Reply::json(StatusCode::OK, &result),
            CryptOutput::Verdict(value) => Reply::json(StatusCode::OK, &KeyVerifyResult { value }),
        };
        Ok(Answer { reply, key_id: Some(kid) })
    }

    /// `Assumed:` the versions of a key that is not there are a 404.
    async fn list_key_versions(&self, name: &ObjectName, page: &Page) -> Result<Answer, ApiError> {
        let key = self.vault.read(|vault, _| Ok(Arc::clone(vault.keys.find(name)?))).await?;
        let (versions, next_link) = self.versions(page, "keys", &key)?;
        let value = versions.into_iter().map(|version| self.key_version_item(key.name(), version)).collect();
        Ok(Answer::plain(&KeyList { value, next_link }))
    }

    async fn backup_key(&self, name: &ObjectName) -> Result<Answer, ApiError> {
        let key = self.vault.read(|vault, _| Ok(Arc::clone(vault.keys.find(name)?))).await?;
        let seal =
            move |backup_key: &BackupKey| seal_key(backup_key, &key).map_err(|source| ServiceError::Crypto { source });
        Ok(Answer::backup(&self.vault.with_backup_key(seal).await?))
    }

    async fn restore_key(&self, blob: Vec<u8>) -> Result<Answer, ApiError> {
        let open = move |backup_key: &BackupKey| open_key(backup_key, &blob).map_err(ServiceError::Refused);
        let key = self.vault.with_backup_key(open).await?;
        key_type::check(self.vault, key.latest().key_type())?;
        let key = self.vault.change(move |vault, now| Ok(put_key(vault.keys.restore(&key, now)?))).await?;
        Ok(self.key(&key, key.latest()))
    }

    async fn set_rotation_policy(&self, name: ObjectName, policy: RotationPolicyDraft) -> Result<Answer, ApiError> {
        let set = move |vault: &Contents, now| {
            vault.keys.find(&name)?;
            let policy = RotationPolicy::new(policy.actions, policy.expiry, now)?;
            Ok(put_key(vault.keys.set_rotation_policy(&name, policy, now)?))
        };
        let key = self.vault.change(set).await?;
        Ok(self.rotation_policy(&key))
    }

    /// `Differs:` on Azure an exportable key goes to an attested environment; nothing here can attest.
    async fn release(&self, name: &ObjectName, version: &VersionRef) -> Result<Answer, ApiError> {
        let version = version.resolve(ObjectKind::Key, name)?;
        let look = self.vault.read(|vault, _| {
            let (_, version) = vault.keys.find_version(name, version)?;
            version.permit_enabled("release")?;
            version.permit_release()
        });
        look.await?;
        Err(ApiError::not_emulated("Releasing exportable keys, which takes an attested environment, is"))
    }

    fn random_bytes(&self, count: usize) -> Result<Answer, ApiError> {
        if self.vault.kind() == VaultKind::Vault {
            return Err(ApiError::bad_parameter(assumed::RANDOM_BYTES_OF_A_VAULT));
        }
        let value = base64url::encode(&LiveVault::random_bytes(count)?);
        Ok(Answer::plain(&RandomBytes { value }))
    }

    fn rotation_policy(&self, key: &Key) -> Answer {
        let id = format!("{}/rotationpolicy", self.id("keys", key.name(), None));
        let default = RotationPolicy::default();
        Answer::plain(&RotationPolicyWire::of(id, key.settings().as_ref().unwrap_or(&default)))
    }

    fn key(&self, key: &Key, version: &KeyVersion) -> Answer {
        Answer {
            reply: Reply::json(StatusCode::OK, &self.key_bundle(key, version)),
            key_id: Some(self.kid(key.name(), version.id)),
        }
    }

    fn key_list(&self, keys: &[Arc<Key>], next_link: Option<String>) -> Answer {
        let value = keys.iter().map(|key| self.key_item(key)).collect();
        Answer::plain(&KeyList { value, next_link })
    }
}

/// `RandomBytes`.
#[derive(Serialize)]
struct RandomBytes {
    value: String,
}

/// The change that gives a key its new shape, and that shape.
fn put_key(key: Arc<Key>) -> (ContentsChange, Arc<Key>) {
    let (change, key) = put(key);
    (ContentsChange::Key(change), key)
}
