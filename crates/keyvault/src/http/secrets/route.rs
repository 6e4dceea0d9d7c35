//! Which operation on secrets a method and a path mean.

use http::Method;

use crate::http::api_error::ApiError;
use crate::http::route::{VersionRef, object_name, unknown};
use crate::operation::Operation;
use crate::vault::ObjectName;

/// An operation on the secrets of a vault.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::http) enum SecretRoute {
    Backup { name: ObjectName },
    Delete { name: ObjectName },
    Get { name: ObjectName, version: VersionRef },
    GetDeleted { name: ObjectName },
    List,
    ListDeleted,
    ListVersions { name: ObjectName },
    Purge { name: ObjectName },
    Recover { name: ObjectName },
    Restore,
    Set { name: ObjectName },
    Update { name: ObjectName, version: VersionRef },
}

impl SecretRoute {
    /// Reads a method and the segments of a path, as they are and in lower case.
    ///
    /// # Errors
    ///
    /// 400 `BadParameter` for a path or verb there is not and for an illegal name.
    pub(in crate::http) fn parse(method: &Method, segments: &[String], lower: &[&str]) -> Result<Self, ApiError> {
        let segment = |index: usize| segments.get(index).map_or("", String::as_str);
        let name = || object_name(segment(1));
        let version = || VersionRef::parse(segment(2));
        match (method.as_str(), lower) {
            ("GET", ["secrets"]) => Ok(Self::List),
            ("POST", ["secrets", "restore"]) => Ok(Self::Restore),
            ("GET", ["secrets", _, "versions"]) => Ok(Self::ListVersions { name: name()? }),
            ("GET", ["secrets", _] | ["secrets", _, _]) => Ok(Self::Get { name: name()?, version: version() }),
            ("PUT", ["secrets", _]) => Ok(Self::Set { name: name()? }),
            ("PATCH", ["secrets", _] | ["secrets", _, _]) => Ok(Self::Update { name: name()?, version: version() }),
            ("DELETE", ["secrets", _]) => Ok(Self::Delete { name: name()? }),
            ("POST", ["secrets", _, "backup"]) => Ok(Self::Backup { name: name()? }),
            ("GET", ["deletedsecrets"]) => Ok(Self::ListDeleted),
            ("GET", ["deletedsecrets", _]) => Ok(Self::GetDeleted { name: name()? }),
            ("DELETE", ["deletedsecrets", _]) => Ok(Self::Purge { name: name()? }),
            ("POST", ["deletedsecrets", _, "recover"]) => Ok(Self::Recover { name: name()? }),
            _ => Err(unknown(method, segments)),
        }
    }

    /// What a request to it counts as.
    pub(in crate::http) fn operation(&self) -> Operation {
        match self {
            Self::Backup { .. } => Operation::SecretBackup,
            Self::Delete { .. } => Operation::SecretDelete,
            Self::Get { .. } => Operation::SecretGet,
            Self::GetDeleted { .. } => Operation::SecretGetDeleted,
            Self::List => Operation::SecretList,
            Self::ListDeleted => Operation::SecretListDeleted,
            Self::ListVersions { .. } => Operation::SecretListVersions,
            Self::Purge { .. } => Operation::SecretPurge,
            Self::Recover { .. } => Operation::SecretRecover,
            Self::Restore => Operation::SecretRestore,
            Self::Set { .. } => Operation::SecretSet,
            Self::Update { .. } => Operation::SecretUpdate,
        }
    }
}
