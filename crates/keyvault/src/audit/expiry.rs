//! Notices when a version comes near its end, and when it ends.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::audit::event::{EventKind, Topic};
use crate::vault::{Attributes, ObjectKind, ObjectName, VersionId};

/// The latest version of an object, as far as its life goes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ObjectLife {
    pub(crate) kind: ObjectKind,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) expires: Option<Timestamp>,
    /// When it counts as near its end; `None`: [`NEAR`] before it.
    pub(crate) near: Option<Timestamp>,
}

impl ObjectLife {
    pub(crate) fn new(kind: ObjectKind, name: &ObjectName, version: VersionId, attributes: Attributes) -> Self {
        let Attributes { not_before, expires, .. } = attributes;
        Self { kind, name: name.to_string(), version: version.to_string(), not_before, expires, near: None }
    }

    /// The id of the version on Azure.
    pub(crate) fn id(&self, topic: Topic<'_>) -> String {
        let Topic { vault, dns_suffix, .. } = topic;
        format!("https://{vault}.{dns_suffix}/{}/{}/{}", self.kind.collection(), self.name, self.version)
    }
}

/// What has been told already.
#[derive(Debug, Default)]
pub(crate) struct ExpiryWatch {
    told: Mutex<BTreeSet<(String, EventKind, Timestamp)>>,
    /// Rings when a version got an end, or another one.
    pub(crate) changed: Notify,
}

impl ExpiryWatch {
    /// What is due now and has not been told: the events, oldest first, and when to look again. `id` names a version.
    pub(crate) fn due(
        &self,
        objects: &[(String, ObjectLife)],
        now: Timestamp,
    ) -> (Vec<(EventKind, usize)>, Option<Timestamp>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        let mut next: Option<Timestamp> = None;
        for (index, (id, object)) in objects.iter().enumerate() {
            let Some(expires) = object.expires else { continue };
            let near = object.near.unwrap_or_else(|| expires.checked_sub(NEAR).unwrap_or(Timestamp::MIN));
            for (kind, at) in [(EventKind::NearExpiry, near), (EventKind::Expired, expires)] {
                if now < at {
                    next = Some(next.map_or(at, |next| next.min(at)));
                } else if told.insert((id.clone(), kind, expires)) {
                    due.push((at, kind, index));
                }
            }
        }
        due.sort_by_key(|(at, ..)| *at);
        (due.into_iter().map(|(_, kind, index)| (kind, index)).collect(), next)
    }
}

/// How long before its end a version is near it, unless a policy says otherwise.
const NEAR: Duration = Duration::from_hours(30 * 24);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_is_told_once_and_anew_when_it_moves() {
        let day = |days: i64| Timestamp::from_second(days * 86_400).unwrap();
        let object = |expires| ObjectLife {
            kind: ObjectKind::Key,
            name: "kms".to_owned(),
            version: "v".to_owned(),
            not_before: None,
            expires,
            near: None,
        };
        let watch = ExpiryWatch::default();
        let look = |expires, now| {
            let (due, next) = watch.due(&[("id".to_owned(), object(expires))], now);
            (due.into_iter().map(|(kind, _)| kind).collect::<Vec<_>>(), next)
        };
        assert_eq!(look(None, day(0)), (vec![], None));
        assert_eq!(look(Some(day(100)), day(69)), (vec![], Some(day(70))));
        assert_eq!(look(Some(day(100)), day(70)), (vec![EventKind::NearExpiry], Some(day(100))));
        assert_eq!(look(Some(day(100)), day(71)), (vec![], Some(day(100))));
        assert_eq!(look(Some(day(100)), day(200)), (vec![EventKind::Expired], None));
        assert_eq!(look(Some(day(150)), day(200)), (vec![EventKind::NearExpiry, EventKind::Expired], None));
    }
}
