//! Who there is: the principals of the tenant.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use uuid::Uuid;

use crate::config::{Principal, PrincipalKind, Secret};

/// The principals of the tenant.
#[derive(Debug)]
pub(crate) struct Directory {
    principals: RwLock<Vec<Arc<Principal>>>,
    identity_header: Option<Secret>,
}

impl Directory {
    pub(crate) fn new(principals: Vec<Principal>, identity_header: Option<Secret>) -> Self {
        let principals = principals.into_iter().map(Arc::new).collect();
        Self { principals: RwLock::new(principals), identity_header }
    }

    /// Adds a principal. `false` if its client id or object id is taken, or the machine has an identity of its own already.
    pub(crate) fn add(&self, principal: Principal) -> bool {
        let mut principals = self.principals.write().unwrap_or_else(PoisonError::into_inner);
        let clashes = principals.iter().any(|known| {
            known.client_id == principal.client_id
                || known.object_id == principal.object_id
                || (is_system_assigned(known) && is_system_assigned(&principal))
        });
        if !clashes {
            principals.push(Arc::new(principal));
        }
        !clashes
    }

    /// Removes the principal with this object id; its tokens stay valid until they end, and allow nothing. `false` if there
    /// is none.
    pub(crate) fn remove(&self, object_id: Uuid) -> bool {
        let mut principals = self.principals.write().unwrap_or_else(PoisonError::into_inner);
        let before = principals.len();
        principals.retain(|principal| principal.object_id != object_id);
        principals.len() < before
    }

    /// Whoever may come to Entra's token endpoint with this client id: an application, or a user-assigned identity for which
    /// a stranger's token stands.
    pub(super) fn application(&self, client_id: &str) -> Option<Arc<Principal>> {
        let client_id = Uuid::try_parse(client_id).ok()?;
        let principals = self.principals();
        let found = principals.iter().find(|principal| principal.client_id == client_id)?;
        let may_come = match &found.kind {
            PrincipalKind::ServicePrincipal { .. } => true,
            PrincipalKind::SystemAssigned { .. } => false,
            PrincipalKind::UserAssigned { .. } => !found.federated.is_empty(),
        };
        may_come.then(|| Arc::clone(found))
    }

    /// The principal that a token's `oid` names.
    pub(crate) fn by_object_id(&self, object_id: &str) -> Option<Arc<Principal>> {
        let object_id = Uuid::try_parse(object_id).ok()?;
        self.principals().iter().find(|principal| principal.object_id == object_id).map(Arc::clone)
    }

    /// The managed identity that a request means.
    pub(super) fn managed_identity(&self, selector: &IdentitySelector<'_>) -> Selected {
        let principals = self.principals();
        let mut matching = principals.iter().filter(|principal| {
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
        if let IdentitySelector::Any = selector
            && let Some(system_assigned) = principals.iter().find(|principal| is_system_assigned(principal))
        {
            return Selected::One(Arc::clone(system_assigned));
        }
        match (matching.next(), matching.next()) {
            (None, _) => Selected::None,
            (Some(only), None) => Selected::One(Arc::clone(only)),
            (Some(_), Some(_)) => Selected::Several,
        }
    }

    /// Whether `offered` is the App Service identity header.
    pub(super) fn accepts_identity_header(&self, offered: &str) -> bool {
        self.identity_header.as_ref().is_some_and(|header| header.matches(offered))
    }

    fn principals(&self) -> RwLockReadGuard<'_, Vec<Arc<Principal>>> {
        self.principals.read().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_system_assigned(principal: &Principal) -> bool {
    matches!(principal.kind, PrincipalKind::SystemAssigned { .. })
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
pub(super) enum Selected {
    None,
    One(Arc<Principal>),
    Several,
}
