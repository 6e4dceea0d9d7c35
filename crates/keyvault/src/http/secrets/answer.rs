//! Carries a command on secrets out and writes the answer.

use std::sync::Arc;

use http::StatusCode;

use crate::emulator::{LiveVault, ServiceError};
use crate::http::api_error::ApiError;
use crate::http::page::Page;
use crate::http::reply::Reply;
use crate::http::route::VersionRef;
use crate::http::secrets::command::SecretCommand;
use crate::http::secrets::wire::{SecretList, Show};
use crate::http::view::{Answer, VaultView, put};
use crate::storage::{open_secret, seal_secret};
use crate::vault::{
    BackupKey, Contents, ContentsChange, NewSecret, ObjectKind, ObjectName, SecretObject, SecretPatch, SecretVersion,
};

impl VaultView<'_> {
    /// Carries out `command`.
    ///
    /// # Errors
    ///
    /// The vault's refusals, and 500 if the emulator itself fails.
    pub(in crate::http) async fn carry_out_on_secrets(&self, command: SecretCommand) -> Result<Answer, ApiError> {
        match command {
            SecretCommand::Backup { name } => self.backup_secret(&name).await,
            SecretCommand::Delete { name } => {
                let delete = move |vault: &Contents, now| Ok(put_secret(vault.secrets.delete(&name, now)?));
                let secret = self.vault.change(delete).await?;
                Ok(self.secret(&secret, secret.latest(), Show::Properties))
            }
            SecretCommand::Get { name, version } => self.get_secret(&name, &version).await,
            SecretCommand::GetDeleted { name } => {
                let look = self.vault.read(|vault, now| Ok(Arc::clone(vault.secrets.find_deleted(&name, now)?.0)));
                let secret = look.await?;
                Ok(self.secret(&secret, secret.latest(), Show::Properties))
            }
            SecretCommand::List { page } => {
                let (secrets, next_link) = self.objects(&page, "secrets", |vault| &vault.secrets).await?;
                Ok(self.secret_list(&secrets, next_link))
            }
            SecretCommand::ListDeleted { page } => {
                let deleted = self.deleted_objects(&page, "deletedsecrets", |vault| &vault.secrets);
                let (secrets, next_link) = deleted.await?;
                Ok(self.secret_list(&secrets, next_link))
            }
            SecretCommand::ListVersions { name, page } => self.list_secret_versions(&name, &page).await,
            SecretCommand::Purge { name } => {
                let purge =
                    move |vault: &Contents, now| Ok((ContentsChange::Secret(vault.secrets.purge(&name, now)?), ()));
                self.vault.change(purge).await?;
                Ok(Answer::purged())
            }
            SecretCommand::Recover { name } => {
                let recover = move |vault: &Contents, now| Ok(put_secret(vault.secrets.recover(&name, now)?));
                let secret = self.vault.change(recover).await?;
                Ok(self.secret(&secret, secret.latest(), Show::Properties))
            }
            SecretCommand::Restore { blob } => self.restore_secret(blob).await,
            SecretCommand::Set { name, new } => self.set_secret(name, new).await,
            SecretCommand::Update { name, version, patch } => self.update_secret(name, &version, patch).await,
        }
    }

    async fn set_secret(&self, name: ObjectName, new: NewSecret) -> Result<Answer, ApiError> {
        let id = LiveVault::version_id()?;
        let set = move |vault: &Contents, now| Ok(put_secret(vault.secrets.set(&name, id, new, now)?));
        let secret = self.vault.change(set).await?;
        Ok(self.secret(&secret, secret.latest(), Show::Value))
    }

    /// Neither `nbf` nor `exp` keeps a secret from being read; `enabled` does.
    async fn get_secret(&self, name: &ObjectName, version: &VersionRef) -> Result<Answer, ApiError> {
        let version = version.resolve(ObjectKind::Secret, name)?;
        let look = self.vault.read(|vault, _| {
            let (secret, version) = vault.secrets.find_version(name, version)?;
            version.permit_enabled("get")?;
            Ok((Arc::clone(secret), Arc::clone(version)))
        });
        let (secret, version) = look.await?;
        Ok(self.secret(&secret, &version, Show::Value))
    }

    async fn update_secret(
        &self,
        name: ObjectName,
        version: &VersionRef,
        patch: SecretPatch,
    ) -> Result<Answer, ApiError> {
        let version = version.resolve(ObjectKind::Secret, &name)?;
        let update = move |vault: &Contents, now| {
            let (secret, changed) = vault.secrets.update(&name, version, patch, now)?;
            let (change, secret) = put_secret(secret);
            Ok((change, (secret, changed)))
        };
        let (secret, version) = self.vault.change(update).await?;
        Ok(self.secret(&secret, &version, Show::Properties))
    }

    /// `Assumed:` the versions of a secret that is not there are a 404.
    async fn list_secret_versions(&self, name: &ObjectName, page: &Page) -> Result<Answer, ApiError> {
        let secret = self.vault.read(|vault, _| Ok(Arc::clone(vault.secrets.find(name)?))).await?;
        let (versions, next_link) = self.versions(page, "secrets", &secret)?;
        let value = versions.into_iter().map(|version| self.secret_bundle(&secret, version, Show::Properties));
        Ok(Answer::plain(&SecretList { value: value.collect(), next_link }))
    }

    async fn backup_secret(&self, name: &ObjectName) -> Result<Answer, ApiError> {
        let secret = self.vault.read(|vault, _| Ok(Arc::clone(vault.secrets.find(name)?))).await?;
        let seal = move |backup_key: &BackupKey| {
            seal_secret(backup_key, &secret).map_err(|source| ServiceError::Crypto { source })
        };
        Ok(Answer::backup(&self.vault.with_backup_key(seal).await?))
    }

    async fn restore_secret(&self, blob: Vec<u8>) -> Result<Answer, ApiError> {
        let open = move |backup_key: &BackupKey| open_secret(backup_key, &blob).map_err(ServiceError::Refused);
        let secret = self.vault.with_backup_key(open).await?;
        let restore = move |vault: &Contents, now| Ok(put_secret(vault.secrets.restore(&secret, now)?));
        let secret = self.vault.change(restore).await?;
        Ok(self.secret(&secret, secret.latest(), Show::Properties))
    }

    fn secret(&self, secret: &SecretObject, version: &SecretVersion, show: Show) -> Answer {
        Answer {
            reply: Reply::json(StatusCode::OK, &self.secret_bundle(secret, version, show)),
            key_id: Some(self.secret_id(secret.name(), version.id)),
        }
    }

    fn secret_list(&self, secrets: &[Arc<SecretObject>], next_link: Option<String>) -> Answer {
        let value = secrets.iter().map(|secret| self.secret_item(secret)).collect();
        Answer::plain(&SecretList { value, next_link })
    }
}

/// The change that gives a secret its new shape, and that shape.
fn put_secret(secret: Arc<SecretObject>) -> (ContentsChange, Arc<SecretObject>) {
    let (change, secret) = put(secret);
    (ContentsChange::Secret(change), secret)
}
