//! The life of keys against a small model: random operations and clock jumps, the model's verdict on each, and invariants
//! after each.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use crate::vault::{
    AesSize, CalendarDuration, Change, Key, KeyMaterial, KeyOperation, KeyShape, Keyring, LifetimeAction,
    LifetimeActionKind, NewVersion, ObjectKind, ObjectName, Patch, RecoveryPolicy, RotationPolicy, Trigger, Validity,
    VaultError, VersionId,
};

#[derive(Clone, Debug)]
enum Action {
    Advance { hours: u32 },
    Backup { key: usize },
    Create { key: usize, operations: Vec<KeyOperation>, start_hours: Option<i64>, life_hours: Option<i64> },
    Delete { key: usize },
    Expire { key: usize, version: prop::sample::Index, hours: i64 },
    Purge { key: usize },
    Recover { key: usize },
    Restore { backup: prop::sample::Index },
    Rotate { key: usize },
    SetEnabled { key: usize, version: prop::sample::Index, enabled: bool },
    SetPolicy { key: usize, rotate_days: i64, life_days: Option<i64> },
    Sweep,
}

/// What a key should be, in the plainest terms.
#[derive(Clone, Debug, Default)]
struct ModelKey {
    versions: Vec<ModelVersion>,
    purge_at: Option<Timestamp>,
    /// Days from the making of a version to the next one, and days that one lives.
    policy: Option<(i64, Option<i64>)>,
}

#[derive(Clone, Debug)]
struct ModelVersion {
    id: VersionId,
    created: Timestamp,
    enabled: bool,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    operations: Vec<KeyOperation>,
}

struct World {
    keyring: Keyring,
    policy: RecoveryPolicy,
    model: BTreeMap<usize, ModelKey>,
    purged: BTreeSet<(usize, VersionId)>,
    backups: Vec<(usize, ModelKey, Arc<Key>)>,
    now: Timestamp,
    next_id: u128,
}

impl World {
    fn new(policy: RecoveryPolicy) -> Self {
        Self {
            keyring: Keyring::new(policy, []),
            policy,
            model: BTreeMap::new(),
            purged: BTreeSet::new(),
            backups: Vec::new(),
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            next_id: 1,
        }
    }

    fn step(&mut self, action: &Action) {
        match action {
            Action::Advance { hours } => self.now += SignedDuration::from_hours(i64::from(*hours)),
            Action::Sweep => {
                for change in self.keyring.due_purges(self.now) {
                    self.keyring.apply(change);
                }
                self.rotate_what_is_due();
                assert!(self.keyring.next_due().is_none_or(|at| at > self.now), "a sweep leaves nothing due");
            }
            Action::Backup { key } => {
                let found = self.keyring.find(&name(*key)).map(Arc::clone);
                assert_eq!(found.as_ref().map(|_| ()), self.live(*key).map(|_| ()).as_ref().copied());
                if let Ok(found) = found {
                    self.backups.push((*key, self.model[key].clone(), found));
                }
            }
            Action::Restore { backup } => self.restore(*backup),
            Action::SetPolicy { key, rotate_days, life_days } => self.set_policy(*key, *rotate_days, *life_days),
            Action::Create { key, operations, start_hours, life_hours } => {
                self.create(*key, operations, *start_hours, *life_hours);
            }
            Action::Rotate { key } => self.rotate(*key),
            Action::SetEnabled { key, version, enabled } => {
                self.update(*key, *version, |version| version.enabled = *enabled);
            }
            Action::Expire { key, version, hours } => {
                let end = self.now + SignedDuration::from_hours(*hours);
                self.update(*key, *version, |version| version.end = Some(end));
            }
            Action::Delete { key } => {
                let expected = self.live(*key).map(|_| ());
                let done = self.keyring.delete(&name(*key), self.now);
                assert_eq!(self.carry_out(done), expected);
                if expected.is_ok() {
                    self.model.get_mut(key).unwrap().purge_at = Some(self.policy.purge_at(self.now));
                }
            }
            Action::Recover { key } => {
                let expected = self.deleted(*key);
                let done = self.keyring.recover(&name(*key), self.now);
                assert_eq!(self.carry_out(done), expected);
                if expected.is_ok() {
                    self.model.get_mut(key).unwrap().purge_at = None;
                }
            }
            Action::Purge { key } => {
                let expected = match self.deleted(*key) {
                    Ok(()) if self.policy.purge_protection() => Err(VaultError::PurgeProtected),
                    other => other,
                };
                let done = self.keyring.purge(&name(*key), self.now);
                assert_eq!(done.map(|change| self.keyring.apply(change)), expected);
                if expected.is_ok() {
                    self.model.get_mut(key).unwrap().purge_at = Some(self.now);
                }
            }
        }
        self.forget_purged();
    }

    fn create(&mut self, key: usize, operations: &[KeyOperation], start: Option<i64>, life: Option<i64>) {
        let start = start.map(|hours| self.now + SignedDuration::from_hours(hours));
        let end = life.map(|hours| start.unwrap_or(self.now) + SignedDuration::from_hours(hours));
        let expected = if self.deleted(key).is_ok() {
            Err(VaultError::NameHeldByDeleted { kind: ObjectKind::Key, name: name(key) })
        } else if start.zip(end).is_some_and(|(start, end)| end <= start) {
            Err(VaultError::EmptyValidity)
        } else {
            Ok(())
        };
        let id = self.fresh_id();
        let new = NewVersion {
            material: MATERIAL.clone(),
            hsm: true,
            operations: operations.to_vec(),
            validity: Validity { enabled: None, not_before: start, expires: end },
            tags: None,
            release_policy: None,
        };
        let done = self.keyring.create(&name(key), id, new, self.now);
        assert_eq!(self.carry_out(done), expected);
        if expected.is_ok() {
            let version =
                ModelVersion { id, created: self.now, enabled: true, start, end, operations: operations.to_vec() };
            self.model.entry(key).or_default().versions.push(version);
        }
    }

    fn rotate(&mut self, key: usize) {
        let latest = self.live(key).map(|key| key.versions.last().unwrap().clone());
        let id = self.fresh_id();
        let done = self.keyring.rotate(&name(key), id, MATERIAL.clone(), self.now);
        assert_eq!(self.carry_out(done), latest.clone().map(|_| ()));
        if let Ok(latest) = latest {
            self.model_rotated(key, id, latest);
        }
    }

    fn model_rotated(&mut self, key: usize, id: VersionId, latest: ModelVersion) {
        let now = self.now;
        let key = self.model.get_mut(&key).unwrap();
        let life_days = key.policy.and_then(|(_, life_days)| life_days);
        let end = life_days.map(|days| now + SignedDuration::from_hours(24 * days));
        key.versions.push(ModelVersion { id, created: now, enabled: true, start: None, end, ..latest });
    }

    /// One rotation for each live key that is due, however long it was.
    fn rotate_what_is_due(&mut self) {
        let due = self.keyring.due_rotations(self.now);
        let is_due = |key: &ModelKey| {
            let created = key.versions.last().unwrap().created;
            let rotate = key.policy.map(|(days, _)| created + SignedDuration::from_hours(24 * days));
            key.purge_at.is_none() && rotate.is_some_and(|at| self.now >= at)
        };
        let expected: BTreeSet<_> = self.model.iter().filter(|(_, key)| is_due(key)).map(|(key, _)| *key).collect();
        let found: BTreeSet<_> = due.iter().map(|(due, _)| (0..3).find(|key| name(*key) == *due).unwrap()).collect();
        assert_eq!(found, expected);
        for key in expected {
            self.rotate(key);
        }
    }

    fn set_policy(&mut self, key: usize, rotate_days: i64, life_days: Option<i64>) {
        let days = |days: i64| CalendarDuration::parse(&format!("P{days}D")).unwrap();
        let trigger = Trigger::TimeAfterCreate(days(rotate_days));
        let action = LifetimeAction { trigger, action: LifetimeActionKind::Rotate };
        let life_days = life_days.map(|more| 28.max(rotate_days + 7) + more);
        let policy = RotationPolicy::new(vec![action], life_days.map(days), self.now).unwrap();
        let expected = self.live(key).map(|_| ());
        let done = self.keyring.set_rotation_policy(&name(key), policy, self.now);
        assert_eq!(self.carry_out(done), expected);
        if expected.is_ok() {
            self.model.get_mut(&key).unwrap().policy = Some((rotate_days, life_days));
        }
    }

    fn restore(&mut self, backup: prop::sample::Index) {
        if self.backups.is_empty() {
            return;
        }
        let (key, model, backup) = self.backups[backup.index(self.backups.len())].clone();
        let expected = if self.deleted(key).is_ok() {
            Err(VaultError::NameHeldByDeleted { kind: ObjectKind::Key, name: name(key) })
        } else if self.live(key).is_ok() {
            Err(VaultError::NameTaken { kind: ObjectKind::Key, name: name(key) })
        } else {
            Ok(())
        };
        let done = self.keyring.restore(&backup, self.now);
        assert_eq!(self.carry_out(done), expected);
        if expected.is_ok() {
            // What a backup brings back was not purged after all.
            for version in &model.versions {
                self.purged.remove(&(key, version.id));
            }
            self.model.insert(key, model);
        }
    }

    fn update(&mut self, key: usize, version: prop::sample::Index, change: impl FnOnce(&mut ModelVersion)) {
        let Ok(found) = self.live(key) else {
            let done = self.keyring.update(&name(key), None, Patch::default(), self.now).map(|(key, _)| key);
            assert_eq!(self.carry_out(done), Err(not_found(key, None)));
            return;
        };
        let index = version.index(found.versions.len());
        let mut version = found.versions[index].clone();
        change(&mut version);
        let patch = Patch {
            validity: Validity { enabled: Some(version.enabled), not_before: version.start, expires: version.end },
            ..Patch::default()
        };
        let expected = match version.start.zip(version.end) {
            Some((start, end)) if end <= start => Err(VaultError::EmptyValidity),
            _ => Ok(()),
        };
        let done = self.keyring.update(&name(key), Some(version.id), patch, self.now).map(|(key, _)| key);
        assert_eq!(self.carry_out(done), expected);
        if expected.is_ok() {
            self.model.get_mut(&key).unwrap().versions[index] = version;
        }
    }

    fn carry_out(&mut self, done: Result<Arc<Key>, VaultError>) -> Result<(), VaultError> {
        done.map(|key| self.keyring.apply(Change::Put(key)))
    }

    fn live(&self, key: usize) -> Result<&ModelKey, VaultError> {
        self.model.get(&key).filter(|key| key.purge_at.is_none()).ok_or_else(|| not_found(key, None))
    }

    fn deleted(&self, key: usize) -> Result<(), VaultError> {
        let is_deleted = self.model.get(&key).is_some_and(|key| key.purge_at.is_some());
        if is_deleted { Ok(()) } else { Err(VaultError::DeletedNotFound { kind: ObjectKind::Key, name: name(key) }) }
    }

    fn forget_purged(&mut self) {
        let now = self.now;
        let due = |key: &ModelKey| key.purge_at.is_some_and(|at| now >= at);
        let gone: Vec<usize> = self.model.iter().filter(|(_, key)| due(key)).map(|(index, _)| *index).collect();
        for index in gone {
            let key = self.model.remove(&index).unwrap();
            self.purged.extend(key.versions.iter().map(|version| (index, version.id)));
        }
    }

    fn fresh_id(&mut self) -> VersionId {
        self.next_id += 1;
        format!("{:032x}", self.next_id).parse().unwrap()
    }

    fn invariant_each_operation_is_allowed_exactly_when_the_rules_say_so(&self) {
        for (index, key) in &self.model {
            for version in &key.versions {
                let edges = [version.start, version.end].into_iter().flatten();
                let edges = edges.flat_map(|edge| [edge - SignedDuration::from_nanos(1), edge]);
                for at in edges.chain([self.now]) {
                    for operation in KeyOperation::ALL {
                        let id = Some(version.id);
                        let found = self.keyring.usable(operation, &name(*index), id, at).map(|(_, found)| found.id);
                        let expected = if key.purge_at.is_some() {
                            Err(not_found(*index, id))
                        } else {
                            verdict(version, operation, at).map(|()| version.id)
                        };
                        assert_eq!(found, expected, "{operation:?} with {version:?} of {index} at {at}");
                    }
                }
            }
        }
    }

    fn invariant_a_purged_version_never_answers(&self) {
        for (key, id) in &self.purged {
            assert_eq!(self.keyring.find_version(&name(*key), Some(*id)).err(), Some(not_found(*key, Some(*id))));
        }
    }

    fn invariant_lists_show_what_is_there(&self) {
        let names = |deleted: bool| -> Vec<String> {
            let of_kind = self.model.iter().filter(|(_, key)| key.purge_at.is_some() == deleted);
            of_kind.map(|(index, _)| name(*index).to_string()).collect()
        };
        let live: Vec<_> = self.keyring.list(None).map(|key| key.name().to_string()).collect();
        assert_eq!(live, names(false));
        let deleted: Vec<_> =
            self.keyring.list_deleted(None, self.now).map(|(key, _)| key.name().to_string()).collect();
        assert_eq!(deleted, names(true));
    }

    fn invariant_no_version_is_lost_or_moved(&self) {
        for (index, key) in &self.model {
            let expected: Vec<_> = key.versions.iter().map(|version| version.id).collect();
            let found = match self.keyring.find(&name(*index)) {
                Ok(found) => found,
                Err(_) => self.keyring.find_deleted(&name(*index), self.now).unwrap().0,
            };
            let ids: Vec<_> = found.versions().map(|version| version.id).collect();
            assert_eq!(ids, expected);
            assert_eq!(found.latest().id, *expected.last().unwrap());
        }
    }

    fn invariant_ids_never_repeat(&self) {
        let live = self.keyring.list(None);
        let all = live.chain(self.keyring.list_deleted(None, self.now).map(|(key, _)| key));
        let mut seen = BTreeSet::new();
        for version in all.flat_map(|key| key.versions()) {
            assert!(seen.insert(version.id), "{} is there twice", version.id);
            assert!(self.purged.iter().all(|(_, id)| *id != version.id), "{} was purged", version.id);
        }
    }

    fn invariant_a_deleted_key_is_purged_when_its_time_comes(&self) {
        for (index, key) in &self.model {
            if let Some(purge_at) = key.purge_at {
                let (_, deletion) = self.keyring.find_deleted(&name(*index), self.now).unwrap();
                assert_eq!(deletion.purge_at, purge_at);
                assert!(self.keyring.find_deleted(&name(*index), purge_at).is_err());
                let before = purge_at - SignedDuration::from_nanos(1);
                assert!(self.keyring.find_deleted(&name(*index), before).is_ok());
            }
        }
    }
}

proptest! {
    #[test]
    fn keys_live_as_the_model_says(
        retention_days in 7_u8..=90,
        purge_protection: bool,
        actions in prop::collection::vec(action(), 1..60),
    ) {
        let mut world = World::new(RecoveryPolicy::new(retention_days, purge_protection).unwrap());
        for action in &actions {
            world.step(action);
            world.invariant_each_operation_is_allowed_exactly_when_the_rules_say_so();
            world.invariant_a_purged_version_never_answers();
            world.invariant_lists_show_what_is_there();
            world.invariant_no_version_is_lost_or_moved();
            world.invariant_ids_never_repeat();
            world.invariant_a_deleted_key_is_purged_when_its_time_comes();
        }
    }
}

/// The rules, once more, in plain order.
fn verdict(version: &ModelVersion, operation: KeyOperation, at: Timestamp) -> Result<(), VaultError> {
    let protects = matches!(operation, KeyOperation::Encrypt | KeyOperation::WrapKey | KeyOperation::Sign);
    let text = operation.as_str();
    if !version.enabled {
        Err(VaultError::Disabled { kind: ObjectKind::Key, operation: text })
    } else if protects && version.start.is_some_and(|start| at < start) {
        Err(VaultError::KeyNotYetValid { operation: text })
    } else if protects && version.end.is_some_and(|end| at >= end) {
        Err(VaultError::KeyExpired { operation: text })
    } else if version.operations.contains(&operation) {
        Ok(())
    } else {
        Err(VaultError::OperationNotPermitted { operation })
    }
}

fn action() -> impl Strategy<Value = Action> {
    let key = || 0_usize..3;
    let version = any::<prop::sample::Index>;
    let operations = prop::sample::subsequence(KeyOperation::ALL.to_vec(), 0..=6);
    let hours = || prop::option::of(-48_i64..2_000);
    prop_oneof![
        3 => prop_oneof![1_u32..48, 100_u32..2_500].prop_map(|hours| Action::Advance { hours }),
        4 => (key(), operations, hours(), hours()).prop_map(|(key, operations, start_hours, life_hours)| {
            Action::Create { key, operations, start_hours, life_hours }
        }),
        2 => key().prop_map(|key| Action::Delete { key }),
        2 => (key(), version(), -48_i64..2_000).prop_map(|(key, version, hours)| Action::Expire { key, version, hours }),
        2 => key().prop_map(|key| Action::Backup { key }),
        2 => key().prop_map(|key| Action::Purge { key }),
        3 => version().prop_map(|backup| Action::Restore { backup }),
        2 => key().prop_map(|key| Action::Recover { key }),
        2 => key().prop_map(|key| Action::Rotate { key }),
        2 => (key(), version(), any::<bool>()).prop_map(|(key, version, enabled)| Action::SetEnabled { key, version, enabled }),
        2 => (key(), 7_i64..90, prop::option::of(0_i64..100)).prop_map(|(key, rotate_days, life_days)| {
            Action::SetPolicy { key, rotate_days, life_days }
        }),
        3 => Just(Action::Sweep),
    ]
}

fn name(key: usize) -> ObjectName {
    format!("key-{key}").parse().unwrap()
}

fn not_found(key: usize, version: Option<VersionId>) -> VaultError {
    VaultError::NotFound { kind: ObjectKind::Key, name: name(key), version: version.map(|id| id.to_string()) }
}

/// The model is not about the material: one key does for all versions.
static MATERIAL: LazyLock<Arc<KeyMaterial>> =
    LazyLock::new(|| Arc::new(KeyMaterial::generate(KeyShape::Oct(AesSize::Aes128)).unwrap()));
