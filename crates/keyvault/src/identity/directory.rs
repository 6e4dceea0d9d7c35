//! Who there is: the principals of the tenant.

use uuid::Uuid;

use crate::config::{Principal, PrincipalKind, Secret};

/// The principals of the tenant.
#[derive(Debug)]
pub(crate) struct Directory {
    principals: Vec<Principal>,
    identity_header: Option<Secret>,
}

impl Directory {
    pub(crate) fn new(principals: Vec<Principal>, identity_header: Option<Secret>) -> Self {
        Self { principals, identity_header }
    }

    /// The application with this client id, and its secret.
    pub(super) fn service_principal(&self, client_id: &str) -> Option<(&Principal, &Secret)> {
        let client_id = Uuid::try_parse(client_id).ok()?;
        self.principals.iter().find_map(|principal| match &principal.kind {
            PrincipalKind::ServicePrincipal { client_secret } if principal.client_id == client_id => {
                Some((principal, client_secret))
            }
            _ => None,
        })
    }

    /// The principal that a token's `oid` names.
    pub(crate) fn by_object_id(&self, object_id: &str) -> Option<&Principal> {
        let object_id = Uuid::try_parse(object_id).ok()?;
        self.principals.iter().find(|principal| principal.object_id == object_id)
    }

    /// The managed identity that a request means.
    pub(super) fn managed_identity(&self, selector: &IdentitySelector<'_>) -> Selected<'_> {
        let mut matching = self.principals.iter().filter(|principal| {
            let (resource_id, system_assigned) = match &principal.kind {
                PrincipalKind::ServicePrincipal { .. } => return false,
                PrincipalKind::SystemAssigned { resource_id } => (resource_id, true),
                PrincipalKind::UserAssigned { resource_id } => (resource_id, false),
            };
            match selector {
                IdentitySelector::Any => true,
                IdentitySelector::ClientId(id) => Uuid::try_parse(id).is_ok_and(|id| id == principal.client_id),
                IdentitySelector::ObjectId(id) => Uuid::try_parse(id).is_ok_and(|id| id == principal.object_id),
                IdentitySelector::ResourceId(id) => !system_assigned && id.eq_ignore_ascii_case(resource_id),
            }
        });
        let is_system_assigned =
            |principal: &&Principal| matches!(principal.kind, PrincipalKind::SystemAssigned { .. });
        if let IdentitySelector::Any = selector
            && let Some(system_assigned) = self.principals.iter().find(is_system_assigned)
        {
            return Selected::One(system_assigned);
        }
        match (matching.next(), matching.next()) {
            (None, _) => Selected::None,
            (Some(only), None) => Selected::One(only),
            (Some(_), Some(_)) => Selected::Several,
        }
    }

    /// Whether `offered` is the App Service identity header.
    pub(super) fn accepts_identity_header(&self, offered: &str) -> bool {
        self.identity_header.as_ref().is_some_and(|header| header.matches(offered))
    }
}

/// How a request names a managed identity.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum IdentitySelector<'a> {
    /// It does not: the system-assigned one, else the only user-assigned one.
    Any,
    ClientId(&'a str),
    ObjectId(&'a str),
    ResourceId(&'a str),
}

/// The identities that a request can mean.
#[derive(Debug)]
pub(super) enum Selected<'a> {
    None,
    One(&'a Principal),
    Several,
}
