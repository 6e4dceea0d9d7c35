//! Which objects a rule is for: `secrets`, `deployments.apps`, `*.apps`, `*.` and `*.*`.

use std::fmt;

/// A resource and its group; either may be `*`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct GroupResource {
    /// `secrets`, or `*` for every resource of the group.
    pub resource: String,
    /// `apps`, empty for the core group, or `*` for every group.
    pub group: String,
}

impl GroupResource {
    /// `resource.group`: up to the first dot it is the resource, what follows is the group.
    pub fn parse(text: &str) -> Self {
        let (resource, group) = text.split_once('.').unwrap_or((text, ""));
        Self { resource: resource.to_owned(), group: group.to_owned() }
    }

    /// `*.<group>`.
    pub(super) fn any_in_group(&self) -> Self {
        Self { resource: ANY.to_owned(), group: self.group.clone() }
    }

    /// `*.*`.
    pub(super) fn any() -> Self {
        Self { resource: ANY.to_owned(), group: ANY.to_owned() }
    }

    pub(super) fn is_any(&self) -> bool {
        self.resource == ANY && self.group == ANY
    }
}

impl fmt::Display for GroupResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.resource.as_str(), self.group.as_str()) {
            (ANY, "") => f.write_str("*."),
            (resource, "") => f.write_str(resource),
            (resource, group) => write!(f, "{resource}.{group}"),
        }
    }
}

pub(super) const ANY: &str = "*";
