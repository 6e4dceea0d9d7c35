//! The resources that this server stores, and what discovery says of each.
//!
//! Imitates the registrations of `pkg/registry/core/rest/storage_core.go`, for the three that Kyanite needs.

use crate::object::schema::{self, Schema};

/// A resource of API version `v1`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Resource {
    ConfigMaps,
    Namespaces,
    Secrets,
}

impl Resource {
    /// Every resource, in the order of discovery.
    pub(crate) const ALL: [Self; 3] = [Self::ConfigMaps, Self::Namespaces, Self::Secrets];

    /// The resource that paths call `plural`.
    pub(crate) fn from_plural(plural: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|resource| resource.plural() == plural)
    }

    /// The name in paths, and in messages about an object.
    pub(crate) const fn plural(self) -> &'static str {
        match self {
            Self::ConfigMaps => "configmaps",
            Self::Namespaces => "namespaces",
            Self::Secrets => "secrets",
        }
    }

    /// The name that `kubectl` accepts besides the plural.
    pub(crate) const fn singular(self) -> &'static str {
        match self {
            Self::ConfigMaps => "configmap",
            Self::Namespaces => "namespace",
            Self::Secrets => "secret",
        }
    }

    /// The abbreviations of `kubectl api-resources`.
    pub(crate) const fn short_names(self) -> &'static [&'static str] {
        match self {
            Self::ConfigMaps => &["cm"],
            Self::Namespaces => &["ns"],
            Self::Secrets => &[],
        }
    }

    /// The `kind` of an object.
    pub(crate) const fn kind(self) -> &'static str {
        match self {
            Self::ConfigMaps => "ConfigMap",
            Self::Namespaces => "Namespace",
            Self::Secrets => "Secret",
        }
    }

    /// The `kind` of a list.
    pub(crate) const fn list_kind(self) -> &'static str {
        match self {
            Self::ConfigMaps => "ConfigMapList",
            Self::Namespaces => "NamespaceList",
            Self::Secrets => "SecretList",
        }
    }

    /// Whether objects live in a namespace.
    pub(crate) const fn is_namespaced(self) -> bool {
        !matches!(self, Self::Namespaces)
    }

    /// The verbs of discovery. Namespaces have no `deletecollection`, as upstream.
    pub(crate) const fn verbs(self) -> &'static [&'static str] {
        match self {
            Self::ConfigMaps | Self::Secrets => {
                &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
            }
            Self::Namespaces => &["create", "delete", "get", "list", "patch", "update", "watch"],
        }
    }

    /// The fields of an object.
    pub(crate) const fn schema(self) -> &'static Schema {
        match self {
            Self::ConfigMaps => &schema::CONFIG_MAP,
            Self::Namespaces => &schema::NAMESPACE,
            Self::Secrets => &schema::SECRET,
        }
    }
}
