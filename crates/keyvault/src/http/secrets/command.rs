//! A request about secrets, read to its end and checked in itself.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::http::api_error::ApiError;
use crate::http::assumed;
use crate::http::body::{AttributesRequest, BackupValue, checked_tags, json};
use crate::http::inbound::Inbound;
use crate::http::page::Page;
use crate::http::route::VersionRef;
use crate::http::secrets::route::SecretRoute;
use crate::http::secrets::wire::{SetRequest, UpdateRequest};
use crate::vault::{NewSecret, ObjectName, SecretPatch, SecretValue};

/// An operation with everything it needs. Not to be shown: its input may be a secret.
pub(in crate::http) enum SecretCommand {
    Backup { name: ObjectName },
    Delete { name: ObjectName },
    Get { name: ObjectName, version: VersionRef },
    GetDeleted { name: ObjectName },
    List { page: Page },
    ListDeleted { page: Page },
    ListVersions { name: ObjectName, page: Page },
    Purge { name: ObjectName },
    Recover { name: ObjectName },
    Restore { blob: Vec<u8> },
    Set { name: ObjectName, new: NewSecret },
    Update { name: ObjectName, version: VersionRef, patch: SecretPatch },
}

impl SecretCommand {
    /// Reads the rest of a request whose route is known.
    ///
    /// # Errors
    ///
    /// 400 `BadParameter` and its kin: whatever is wrong with query or body.
    pub(in crate::http) async fn read(route: SecretRoute, inbound: &mut Inbound) -> Result<Self, ApiError> {
        Ok(match route {
            SecretRoute::Backup { name } => Self::Backup { name },
            SecretRoute::Delete { name } => Self::Delete { name },
            SecretRoute::Get { name, version } => Self::Get { name, version },
            SecretRoute::GetDeleted { name } => Self::GetDeleted { name },
            SecretRoute::List => Self::List { page: Page::read(inbound)? },
            SecretRoute::ListDeleted => Self::ListDeleted { page: Page::read(inbound)? },
            SecretRoute::ListVersions { name } => Self::ListVersions { name, page: Page::read(inbound)? },
            SecretRoute::Purge { name } => Self::Purge { name },
            SecretRoute::Recover { name } => Self::Recover { name },
            SecretRoute::Restore => Self::Restore { blob: json::<BackupValue>(inbound).await?.decode()? },
            SecretRoute::Set { name } => Self::set(name, json(inbound).await?)?,
            SecretRoute::Update { name, version } => Self::update(name, version, json(inbound).await?)?,
        })
    }

    fn set(name: ObjectName, request: SetRequest) -> Result<Self, ApiError> {
        let value = request.value.ok_or_else(|| ApiError::bad_parameter(assumed::property_missing("value")))?;
        let new = NewSecret {
            value: Arc::new(SecretValue::new(Zeroizing::new(value))?),
            content_type: checked_content_type(request.content_type)?,
            validity: AttributesRequest::validity(request.attributes)?,
            tags: checked_tags(request.tags)?,
        };
        Ok(Self::Set { name, new })
    }

    fn update(name: ObjectName, version: VersionRef, request: UpdateRequest) -> Result<Self, ApiError> {
        let patch = SecretPatch {
            content_type: checked_content_type(request.content_type)?,
            validity: AttributesRequest::validity(request.attributes)?,
            tags: checked_tags(request.tags)?,
        };
        Ok(Self::Update { name, version, patch })
    }
}

fn checked_content_type(content_type: Option<String>) -> Result<Option<String>, ApiError> {
    match content_type {
        Some(text) if text.chars().count() > MAX_CONTENT_TYPE_CHARS => {
            Err(ApiError::bad_parameter(assumed::SECRET_CONTENT_TYPE))
        }
        content_type => Ok(content_type),
    }
}

/// <https://learn.microsoft.com/azure/key-vault/secrets/about-secrets>: 255 characters.
const MAX_CONTENT_TYPE_CHARS: usize = 255;
