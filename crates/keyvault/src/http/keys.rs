//! Carries a command out on a vault and writes the answer.

use std::sync::Arc;

use http::StatusCode;

use crate::emulator::{LiveVault, ServiceError};
use crate::http::api_error::ApiError;
use crate::http::api_version::ApiVersion;
use crate::http::base64url;
use crate::http::command::{KeyCommand, Validity};
use crate::http::host::CallerHost;
use crate::http::page::{Link, Page};
use crate::http::reply::Reply;
use crate::http::route::{Crypt, VersionRef};
use crate::http::wire::{CryptResponse, KeyList, Writer};
use crate::vault::{
    Algorithm, Change, Key, KeyName, KeyOperation, KeyVersion, NewVersion, Patch, RsaSize, Tags, VersionId,
};

/// A vault as one caller sees it.
pub(super) struct VaultView<'a> {
    pub(super) vault: &'a Arc<LiveVault>,
    pub(super) host: &'a CallerHost,
    pub(super) version: &'a ApiVersion,
}

/// An answer, and the id of the key it is about.
pub(super) struct Answer {
    pub(super) reply: Reply,
    pub(super) key_id: Option<String>,
}

impl VaultView<'_> {
    /// Carries out `command`.
    ///
    /// # Errors
    ///
    /// The vault's refusals, and 500 if the emulator itself fails.
    pub(super) async fn carry_out(&self, command: KeyCommand) -> Result<Answer, ApiError> {
        match command {
            KeyCommand::Create { name, size, operations, validity, tags } => {
                self.create(name, size, operations, validity, tags).await
            }
            KeyCommand::Crypt { crypt, name, version, algorithm, input } => {
                self.crypt(crypt, name, &version, algorithm, input).await
            }
            KeyCommand::Delete { name } => {
                let key = self.vault.change(move |keyring, now| Ok(put(keyring.delete(&name, now)?))).await?;
                Ok(self.key(&key, key.latest()))
            }
            KeyCommand::Get { name, version } => self.get(&name, &version).await,
            KeyCommand::GetDeleted { name } => {
                let key = self.vault.read(|keyring, now| Ok(Arc::clone(keyring.find_deleted(&name, now)?.0))).await?;
                Ok(self.key(&key, key.latest()))
            }
            KeyCommand::List { page } => self.list(&page).await,
            KeyCommand::ListDeleted { page } => self.list_deleted(&page).await,
            KeyCommand::ListVersions { name, page } => self.list_versions(&name, &page).await,
            KeyCommand::Purge { name } => {
                self.vault.change(move |keyring, now| Ok((keyring.purge(&name, now)?, ()))).await?;
                Ok(Answer { reply: Reply::empty(StatusCode::NO_CONTENT), key_id: None })
            }
            KeyCommand::Recover { name } => {
                let key = self.vault.change(move |keyring, now| Ok(put(keyring.recover(&name, now)?))).await?;
                Ok(self.key(&key, key.latest()))
            }
            KeyCommand::Rotate { name } => self.rotate(name).await,
            KeyCommand::Update { name, version, patch } => self.update(name, &version, patch).await,
        }
    }

    async fn create(
        &self,
        name: KeyName,
        size: RsaSize,
        operations: Vec<KeyOperation>,
        validity: Validity,
        tags: Option<Tags>,
    ) -> Result<Answer, ApiError> {
        // Asked first, because making the material takes long; asked again when it is there.
        self.vault.read(|keyring, now| keyring.check_name(&name, now)).await?;
        let (material, id) = LiveVault::generate(size).await?;
        let new = NewVersion {
            material,
            operations,
            enabled: validity.enabled.unwrap_or(true),
            not_before: validity.not_before,
            expires: validity.expires,
            tags,
        };
        let key = self.vault.change(move |keyring, now| Ok(put(keyring.create(&name, id, new, now)?))).await?;
        Ok(self.key(&key, key.latest()))
    }

    async fn rotate(&self, name: KeyName) -> Result<Answer, ApiError> {
        let size = self.vault.read(|keyring, _| Ok(keyring.find(&name, None)?.1.material.size())).await?;
        let (material, id) = LiveVault::generate(size).await?;
        let key = self.vault.change(move |keyring, now| Ok(put(keyring.rotate(&name, id, material, now)?))).await?;
        Ok(self.key(&key, key.latest()))
    }

    async fn update(&self, name: KeyName, version: &VersionRef, patch: Patch) -> Result<Answer, ApiError> {
        let version = version.resolve(&name)?;
        let (key, version) = self
            .vault
            .change(move |keyring, now| {
                let (key, changed) = keyring.update(&name, version, patch, now)?;
                let (change, key) = put(key);
                Ok((change, (key, changed)))
            })
            .await?;
        Ok(self.key(&key, &version))
    }

    async fn get(&self, name: &KeyName, version: &VersionRef) -> Result<Answer, ApiError> {
        let version = version.resolve(name)?;
        let (key, version) = self
            .vault
            .read(|keyring, _| {
                let (key, version) = keyring.find(name, version)?;
                version.permit_enabled("get")?;
                Ok((Arc::clone(key), Arc::clone(version)))
            })
            .await?;
        Ok(self.key(&key, &version))
    }

    async fn crypt(
        &self,
        crypt: Crypt,
        name: KeyName,
        version: &VersionRef,
        algorithm: Algorithm,
        input: Vec<u8>,
    ) -> Result<Answer, ApiError> {
        let wanted = version.resolve(&name)?;
        let operation = crypt.key_operation();
        let (shown, version) = self
            .vault
            .read(|keyring, now| {
                let (key, version) = keyring.usable(operation, &name, wanted, now)?;
                Ok((key.name().clone(), Arc::clone(version)))
            })
            .await?;
        let kid = self.writer().kid(&shown, version.id);
        let output = match crypt {
            // A public operation takes some tens of microseconds; a private one takes up to several milliseconds.
            Crypt::Encrypt | Crypt::WrapKey => base64url::encode(&version.material.encrypt(algorithm, &input)?),
            Crypt::Decrypt | Crypt::UnwrapKey => {
                let opened = tokio::task::spawn_blocking(move || version.material.decrypt(algorithm, &input)).await;
                base64url::encode(&opened.map_err(|source| ServiceError::Task { source })??)
            }
        };
        let reply = Reply::json(StatusCode::OK, &CryptResponse { kid: kid.clone(), value: output });
        Ok(Answer { reply, key_id: Some(kid) })
    }

    async fn list(&self, page: &Page) -> Result<Answer, ApiError> {
        let after: Option<KeyName> = page.after()?;
        let link = self.link("/keys".to_owned());
        let (keys, next_link) = self
            .vault
            .read(|keyring, _| Ok(page.take(keyring.list(after.as_ref()).map(Arc::clone), mark_key, &link)))
            .await?;
        Ok(self.key_list(&keys, next_link))
    }

    async fn list_deleted(&self, page: &Page) -> Result<Answer, ApiError> {
        let after: Option<KeyName> = page.after()?;
        let link = self.link("/deletedkeys".to_owned());
        let (keys, next_link) = self
            .vault
            .read(|keyring, now| {
                let deleted = keyring.list_deleted(after.as_ref(), now).map(|(key, _)| Arc::clone(key));
                Ok(page.take(deleted, mark_key, &link))
            })
            .await?;
        Ok(self.key_list(&keys, next_link))
    }

    /// `Assumed:` versions are listed in the order they were made, and those of a key that is not there are a 404.
    async fn list_versions(&self, name: &KeyName, page: &Page) -> Result<Answer, ApiError> {
        let after: Option<VersionId> = page.after()?;
        let key = self.vault.read(|keyring, _| Ok(Arc::clone(keyring.find(name, None)?.0))).await?;
        let mut versions = key.versions();
        if let Some(after) = after
            && !versions.any(|version| version.id == after)
        {
            return Err(Page::bad_token());
        }
        let link = self.link(format!("/keys/{}/versions", key.name()));
        let (versions, next_link) = page.take(versions, |version| version.id.to_string(), &link);
        let writer = self.writer();
        let value = versions.into_iter().map(|version| writer.version_item(key.name(), version)).collect();
        Ok(Answer { reply: Reply::json(StatusCode::OK, &KeyList { value, next_link }), key_id: None })
    }

    fn key(&self, key: &Key, version: &KeyVersion) -> Answer {
        let writer = self.writer();
        Answer {
            reply: Reply::json(StatusCode::OK, &writer.bundle(key, version)),
            key_id: Some(writer.kid(key.name(), version.id)),
        }
    }

    fn key_list(&self, keys: &[Arc<Key>], next_link: Option<String>) -> Answer {
        let writer = self.writer();
        let value = keys.iter().map(|key| writer.item(key)).collect();
        Answer { reply: Reply::json(StatusCode::OK, &KeyList { value, next_link }), key_id: None }
    }

    fn writer(&self) -> Writer<'_> {
        let policy = self.vault.inspect(|keyring, _| keyring.policy());
        Writer { host: self.host, version: self.version, policy }
    }

    fn link(&self, path: String) -> Link<'_> {
        Link { host: self.host, path, version: self.version }
    }
}

/// The change that gives a key its new shape, and that shape.
fn put(key: Arc<Key>) -> (Change, Arc<Key>) {
    (Change::Put(Arc::clone(&key)), key)
}

fn mark_key(key: &Arc<Key>) -> String {
    key.name().folded().to_owned()
}
