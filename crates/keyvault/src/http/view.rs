//! A vault as one caller sees it, and what keys and secrets answer alike.

use std::sync::Arc;

use http::StatusCode;

use crate::emulator::LiveVault;
use crate::http::api_error::ApiError;
use crate::http::api_version::ApiVersion;
use crate::http::base64url;
use crate::http::body::BackupValue;
use crate::http::host::CallerHost;
use crate::http::page::{Link, Page};
use crate::http::reply::Reply;
use crate::http::route::Command;
use crate::vault::{Change, Contents, Object, ObjectName, Shelf, Version, VersionId};

/// A vault as one caller sees it: ids and links by the host that the caller names, members of its api-version.
pub(super) struct VaultView<'a> {
    pub(super) vault: &'a Arc<LiveVault>,
    pub(super) host: &'a CallerHost,
    pub(super) version: &'a ApiVersion,
}

/// An answer, and the id of the key or secret it is about.
pub(super) struct Answer {
    pub(super) reply: Reply,
    pub(super) key_id: Option<String>,
}

impl Answer {
    /// An answer about no object in particular.
    pub(super) fn plain<T: serde::Serialize>(body: &T) -> Self {
        Self { reply: Reply::json(StatusCode::OK, body), key_id: None }
    }

    /// The answer to a purge.
    pub(super) fn purged() -> Self {
        Self { reply: Reply::empty(StatusCode::NO_CONTENT), key_id: None }
    }

    /// The answer to a backup.
    pub(super) fn backup(blob: &[u8]) -> Self {
        Self::plain(&BackupValue { value: Some(base64url::encode(blob)) })
    }
}

impl VaultView<'_> {
    /// Carries out `command`.
    ///
    /// # Errors
    ///
    /// The vault's refusals, and 500 if the emulator itself fails.
    pub(super) async fn carry_out(&self, command: Command) -> Result<Answer, ApiError> {
        match command {
            Command::Key(command) => self.carry_out_on_keys(command).await,
            Command::Secret(command) => self.carry_out_on_secrets(command).await,
        }
    }

    /// A page of the objects that are not deleted.
    ///
    /// # Errors
    ///
    /// 400 for a token of another list, 500 if the emulator itself fails.
    pub(super) async fn objects<V: Version>(
        &self,
        page: &Page,
        collection: &str,
        of: impl FnOnce(&Contents) -> &Shelf<V>,
    ) -> Result<(Vec<Arc<Object<V>>>, Option<String>), ApiError> {
        let after: Option<ObjectName> = page.after()?;
        let link = self.link(format!("/{collection}"));
        let look = |contents: &Contents, _| {
            Ok(page.take(of(contents).list(after.as_ref()).map(Arc::clone), |object| mark(object), &link))
        };
        Ok(self.vault.read(look).await?)
    }

    /// A page of the deleted objects.
    ///
    /// # Errors
    ///
    /// As [`VaultView::objects`].
    pub(super) async fn deleted_objects<V: Version>(
        &self,
        page: &Page,
        collection: &str,
        of: impl FnOnce(&Contents) -> &Shelf<V>,
    ) -> Result<(Vec<Arc<Object<V>>>, Option<String>), ApiError> {
        let after: Option<ObjectName> = page.after()?;
        let link = self.link(format!("/{collection}"));
        let look = |contents: &Contents, now| {
            let deleted = of(contents).list_deleted(after.as_ref(), now).map(|(object, _)| Arc::clone(object));
            Ok(page.take(deleted, |object| mark(object), &link))
        };
        Ok(self.vault.read(look).await?)
    }

    /// A page of an object's versions.
    ///
    /// `Assumed:` versions are listed in the order they were made.
    ///
    /// # Errors
    ///
    /// 400 for a token of another list.
    pub(super) fn versions<'o, V: Version>(
        &self,
        page: &Page,
        collection: &str,
        object: &'o Object<V>,
    ) -> Result<(Vec<&'o Arc<V>>, Option<String>), ApiError> {
        let after: Option<VersionId> = page.after()?;
        let mut versions = object.versions();
        if let Some(after) = after
            && !versions.any(|version| version.id() == after)
        {
            return Err(Page::bad_token());
        }
        let link = self.link(format!("/{collection}/{}/versions", object.name()));
        Ok(page.take(versions, |version| version.id().to_string(), &link))
    }

    /// The id of an object, or of one of its versions.
    pub(super) fn id(&self, collection: &str, name: &ObjectName, version: Option<VersionId>) -> String {
        let host = self.host;
        match version {
            None => format!("https://{host}/{collection}/{name}"),
            Some(version) => format!("https://{host}/{collection}/{name}/{version}"),
        }
    }

    fn link(&self, path: String) -> Link<'_> {
        Link { host: self.host, path, version: self.version }
    }
}

/// The change that gives an object its new shape, and that shape.
pub(super) fn put<V: Version>(object: Arc<Object<V>>) -> (Change<V>, Arc<Object<V>>) {
    (Change::Put(Arc::clone(&object)), object)
}

fn mark<V: Version>(object: &Arc<Object<V>>) -> String {
    object.name().folded().to_owned()
}
