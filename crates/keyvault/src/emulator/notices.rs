//! What an emulator does and tells by itself: purges and rotations when they are due, and versions that were made, come near
//! their end, or end.

use std::sync::Arc;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::audit::{AuditRecord, EventKind, ObjectLife, Topic};
use crate::chain::chain;
use crate::emulator::{Emulator, LiveVault};
use crate::vault::ObjectKind;

impl Emulator {
    /// Tells that a version was made.
    pub(crate) fn tell_new_version(&self, vault: &LiveVault, object: &ObjectLife) {
        let resource_id = self.resource_id(vault);
        let topic = topic(&resource_id, vault);
        self.events().append(EventKind::NewVersionCreated.event(topic, object, self.clock().now()));
    }

    /// Rings when something was set or moved that happens by itself: the end of a version, a rotation, a purge.
    pub(crate) fn expiry_changed(&self) {
        self.expiry().changed.notify_one();
    }

    /// Carries out what is due, and tells of versions that come near their end or end, until `shutdown`.
    pub(crate) async fn watch_expiry(&self, shutdown: &CancellationToken) {
        loop {
            let next_change = self.carry_out_due().await;
            let next = [next_change, self.tell_due_events()].into_iter().flatten().min();
            let due = async {
                match next {
                    Some(next) => self.clock().wait_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = self.expiry().changed.notified() => {}
                () = due => {}
            }
        }
    }

    /// Carries out the purges and rotations that are due, and tells of the versions made; gives when something will be due
    /// next. A vault whose disk refuses is tried again with the next change.
    async fn carry_out_due(&self) -> Option<Timestamp> {
        let mut next = Vec::new();
        for vault in self.vaults() {
            match vault.catch_up().await {
                Ok((_, at)) => next.extend(at),
                Err(error) => {
                    tracing::error!(vault = %vault.name(), error = %chain(&error), "what is due cannot be done");
                }
            }
            for name in vault.take_rotated() {
                if let Some(life) = vault.life(ObjectKind::Key, name.as_str()) {
                    self.tell_new_version(vault, &life);
                }
            }
        }
        next.into_iter().min()
    }

    /// Tells what is due, in the audit log and as events; gives when something will be due next.
    pub(crate) fn tell_due_events(&self) -> Option<Timestamp> {
        let now = self.clock().now();
        let (due, next) = self.due_events();
        for Due { kind, vault, object } in due {
            let resource_id = self.resource_id(&vault);
            let topic = topic(&resource_id, &vault);
            if let Some(name) = kind.audit_name(object.kind) {
                self.audit().append(AuditRecord::notice(now, &resource_id, name, object.id(topic)));
            }
            self.events().append(kind.event(topic, &object, now));
        }
        next
    }

    /// What is due and has not been told; it counts as told from now on.
    pub(super) fn due_events(&self) -> (Vec<Due>, Option<Timestamp>) {
        let mut owners = Vec::new();
        let mut objects = Vec::new();
        for vault in self.vaults() {
            for object in vault.lives() {
                objects.push((format!("{}/{}/{}", vault.name(), object.kind.collection(), object.version), object));
                owners.push(Arc::clone(vault));
            }
        }
        let (due, next) = self.expiry().due(&objects, self.clock().now());
        let due = due.into_iter().filter_map(|(kind, index)| {
            let (vault, (_, object)) = (owners.get(index)?, objects.get(index)?);
            Some(Due { kind, vault: Arc::clone(vault), object: object.clone() })
        });
        (due.collect(), next)
    }
}

/// Something to tell.
pub(super) struct Due {
    kind: EventKind,
    vault: Arc<LiveVault>,
    object: ObjectLife,
}

fn topic<'a>(resource_id: &'a str, vault: &'a LiveVault) -> Topic<'a> {
    Topic { resource_id, vault: vault.name().as_str(), dns_suffix: vault.kind().dns_suffix() }
}
