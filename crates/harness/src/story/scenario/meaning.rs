//! What a schema cannot say about a story: names that nothing introduces, expectations that nothing can meet.
//!
//! Everything here is found by reading the file alone. A story that passes can still fail, but not because it is
//! nonsense.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use crate::stack::EncryptionAtRest;

use super::expect::Expect;
use super::file::{Scenario, ScenarioFile, Step, StepFile};
use super::operation::{Operation, VaultDecrypt};
use super::words::{LookName, VersionName};

/// A mistake in a story's meaning.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Mistake {
    /// JSON pointer to the node of the file that it is about.
    pub(super) pointer: String,
    /// What is wrong: a lowercase fragment.
    pub(super) message: String,
    /// What to do about it.
    pub(super) help: String,
}

/// The story in `raw` with every mistake of meaning in it. Only a story without mistakes is whole.
pub(super) fn understand(file: &Path, raw: &ScenarioFile) -> (Scenario, Vec<Mistake>) {
    let mut reader = Reader::new(raw.stack.encryption);
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    if stem.as_deref().is_some_and(|stem| stem != raw.name) {
        reader.mistake(
            "/name",
            format!("the story is named `{}` but its file `{}`", raw.name, stem.unwrap_or_default()),
            "give both the same name: it is what reports and `scenarios/README.md` call the story",
        );
    }
    let steps = reader.steps("/steps", &raw.steps);
    let finally = reader.steps("/finally", &raw.finally);
    let story = Scenario {
        file: file.to_owned(),
        name: raw.name.clone(),
        title: raw.title.clone(),
        why: raw.why.clone(),
        sources: raw.sources.clone(),
        stack: raw.stack,
        steps,
        finally,
    };
    (story, reader.mistakes)
}

/// Reads the steps in order and remembers what they introduce.
struct Reader {
    encryption: EncryptionAtRest,
    versions: BTreeSet<VersionName>,
    looks: BTreeMap<LookName, LookKind>,
    secrets: BTreeSet<(String, String)>,
    mistakes: Vec<Mistake>,
}

impl Reader {
    fn new(encryption: EncryptionAtRest) -> Self {
        Self {
            encryption,
            versions: BTreeSet::from([VersionName::first()]),
            looks: BTreeMap::new(),
            secrets: BTreeSet::new(),
            mistakes: Vec::new(),
        }
    }

    fn steps(&mut self, list: &str, raw: &[StepFile]) -> Vec<Step> {
        let mut steps = Vec::with_capacity(raw.len());
        for (index, raw) in raw.iter().enumerate() {
            let pointer = format!("{list}/{index}");
            let (mut operations, told) = raw.clone().split();
            let Some(operation) = operations.pop() else {
                self.mistake(&pointer, "the step names no operation", "give it exactly one, such as `create-secret`");
                continue;
            };
            if let Some(other) = operations.pop() {
                self.mistake(
                    &pointer,
                    format!("the step names more than one operation: `{}` and `{}`", other.verb(), operation.verb()),
                    "make one step of each",
                );
                continue;
            }
            let step = told.step(operation);
            self.step(&pointer, &step);
            steps.push(step);
        }
        steps
    }

    fn step(&mut self, pointer: &str, step: &Step) {
        let verb = step.operation.verb();
        if self.encryption == EncryptionAtRest::None && step.operation.needs_kms() {
            self.mistake(
                &format!("{pointer}/{verb}"),
                format!("`{verb}` needs a plugin, and this story's stack has none"),
                "set `stack.encryption` to `kms`, or leave the step out",
            );
        }
        self.references(&format!("{pointer}/{verb}"), &step.operation, step.expect.failure.is_some());
        self.expectations(pointer, &step.operation, &step.expect);
        if let Some(within) = step.within {
            self.within(&format!("{pointer}/within"), &step.operation, within);
        }
        if step.expect.failure.is_none() {
            self.introduces(&format!("{pointer}/{verb}"), &step.operation);
        } else if let Some(name) = introduced_look(&step.operation) {
            self.mistake(
                &format!("{pointer}/{verb}/as"),
                format!("nothing is seen that could be called `{name}`: the step expects a failure"),
                "leave out `as`",
            );
        }
    }

    /// Names in the operation itself must have been introduced.
    fn references(&mut self, pointer: &str, operation: &Operation, failure_expected: bool) {
        match operation {
            Operation::DisableKeyVersion(key) | Operation::EnableKeyVersion(key) => {
                self.known_version(&format!("{pointer}/version"), &key.version);
            }
            Operation::VaultEncrypt(encrypt) => self.known_version(&format!("{pointer}/version"), &encrypt.version),
            Operation::VaultDecrypt(VaultDecrypt { of }) => {
                self.known_look(&format!("{pointer}/of"), of, &[LookKind::Ciphertext, LookKind::Stored]);
            }
            Operation::GetSecret(secret) | Operation::DeleteSecret(secret) if !failure_expected => {
                self.known_secret(pointer, &secret.namespace, &secret.name);
            }
            Operation::ReplaceSecret(secret) if !failure_expected => {
                self.known_secret(pointer, &secret.namespace, &secret.name);
            }
            Operation::ReadStored(secret) if !failure_expected => {
                self.known_secret(pointer, &secret.namespace, &secret.name);
            }
            _ => {}
        }
    }

    /// Every key of `expect` must be something that the operation can meet.
    fn expectations(&mut self, pointer: &str, operation: &Operation, expect: &Expect) {
        let given = expect.given();
        if expect.failure.is_some() && !given.is_empty() {
            let others = given.iter().map(|key| format!("`{}`", key.key())).collect::<Vec<_>>().join(", ");
            self.mistake(
                &format!("{pointer}/expect/failure"),
                format!("a step that is refused has no outcome, but {others} is expected too"),
                "expect either a failure or an outcome",
            );
            return;
        }
        for key in given {
            let at = format!("{pointer}/expect/{}", key.key());
            if !operation.outcome().contains(&key) {
                let can = operation.outcome().iter().map(|key| format!("`{}`", key.key())).collect::<Vec<_>>();
                let help = match can.as_slice() {
                    [] => {
                        format!("`{}` succeeds or is refused: only `failure` can be expected of it", operation.verb())
                    }
                    can => format!("what `{}` can meet: `failure`, {}", operation.verb(), can.join(", ")),
                };
                self.mistake(&at, format!("`{}` has no `{}`", operation.verb(), key.key()), help);
            } else if self.encryption == EncryptionAtRest::None && key.needs_kms() {
                self.mistake(
                    &at,
                    format!("`{}` is never there: this story's stack stores Secrets unencrypted", key.key()),
                    "set `stack.encryption` to `kms`, or leave the expectation out",
                );
            }
        }
        if let (Operation::VaultDecrypt(VaultDecrypt { of }), Some(_)) = (operation, &expect.plaintext)
            && self.looks.get(of) == Some(&LookKind::Stored)
        {
            self.mistake(
                &format!("{pointer}/expect/plaintext"),
                format!(
                    "`{of}` is a stored value: what the vault decrypts of it is a seed, which is random and secret"
                ),
                "expect success alone, or a failure",
            );
        }
        if let Some(version) = &expect.key_version {
            self.known_version(&format!("{pointer}/expect/key-version"), version);
        }
        let comparable = match operation {
            Operation::ReadMetric(_) => LookKind::Metric,
            _ => LookKind::Stored,
        };
        for (key, look) in [("same-as", &expect.same_as), ("differs-from", &expect.differs_from)] {
            if let Some(look) = look {
                self.known_look(&format!("{pointer}/expect/{key}"), look, &[comparable]);
            }
        }
    }

    fn within(&mut self, pointer: &str, operation: &Operation, within: Duration) {
        if !operation.reads() {
            self.mistake(
                pointer,
                format!("`{}` changes something, so it is done once and not repeated", operation.verb()),
                "put `within` on a step that reads, after this one",
            );
        } else if within.is_zero() || within > LONGEST_WAIT {
            self.mistake(
                pointer,
                "a wait must be longer than nothing and at most 5m",
                "it is real time; to let the stack's time pass, use `advance-clock`",
            );
        }
    }

    /// What later steps may refer to once this one has succeeded.
    fn introduces(&mut self, pointer: &str, operation: &Operation) {
        match operation {
            Operation::CreateSecret(secret) => {
                self.secrets.insert((secret.namespace.clone(), secret.name.clone()));
            }
            Operation::DeleteSecret(secret) => {
                self.secrets.remove(&(secret.namespace.clone(), secret.name.clone()));
            }
            Operation::CreateKey(key) | Operation::RotateKey(key) if !self.versions.insert(key.version.clone()) => {
                self.mistake(
                    &format!("{pointer}/version"),
                    format!("the version name `{}` is taken", key.version),
                    "`first` is the version the stack starts with; every new version needs a new name",
                );
            }
            _ => {}
        }
        let kind = match operation {
            Operation::ReadMetric(_) => LookKind::Metric,
            Operation::VaultEncrypt(_) => LookKind::Ciphertext,
            _ => LookKind::Stored,
        };
        if let Some(name) = introduced_look(operation)
            && self.looks.insert(name.clone(), kind).is_some()
        {
            self.mistake(
                &format!("{pointer}/as"),
                format!("the name `{name}` is taken"),
                "give each look its own name",
            );
        }
    }

    fn known_version(&mut self, pointer: &str, name: &VersionName) {
        if !self.versions.contains(name) {
            let known = self.versions.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            self.mistake(
                pointer,
                format!("no earlier step makes a key version `{name}`"),
                format!("known here: {known}; `rotate-key` and `create-key` make and name new ones"),
            );
        }
    }

    fn known_look(&mut self, pointer: &str, name: &LookName, kinds: &[LookKind]) {
        let kind = self.looks.get(name).copied();
        if kind.is_some_and(|kind| kinds.contains(&kind)) {
            return;
        }
        let wanted = kinds.iter().map(|kind| format!("`{}`", kind.verb())).collect::<Vec<_>>().join(" or ");
        let message = match kind {
            None => format!("no earlier step sees anything called `{name}`"),
            Some(kind) => format!("`{name}` is what a `{}` saw, which does not fit here", kind.verb()),
        };
        self.mistake(pointer, message, format!("name what is seen with `as` in an earlier {wanted}"));
    }

    fn known_secret(&mut self, pointer: &str, namespace: &str, name: &str) {
        if !self.secrets.contains(&(namespace.to_owned(), name.to_owned())) {
            self.mistake(
                pointer,
                format!("at this point there is no Secret `{namespace}/{name}`"),
                "create it in an earlier step, or expect the failure",
            );
        }
    }

    fn mistake(&mut self, pointer: &str, message: impl Into<String>, help: impl Into<String>) {
        self.mistakes.push(Mistake { pointer: pointer.to_owned(), message: message.into(), help: help.into() });
    }
}

/// What kind of thing a look saw. Only like things are compared.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum LookKind {
    Ciphertext,
    Metric,
    Stored,
}

impl LookKind {
    fn verb(self) -> &'static str {
        match self {
            Self::Ciphertext => "vault-encrypt",
            Self::Metric => "read-metric",
            Self::Stored => "read-stored",
        }
    }
}

fn introduced_look(operation: &Operation) -> Option<&LookName> {
    match operation {
        Operation::ReadMetric(metric) => metric.look.as_ref(),
        Operation::ReadStored(stored) => stored.look.as_ref(),
        Operation::VaultEncrypt(encrypt) => encrypt.look.as_ref(),
        _ => None,
    }
}

/// The longest `within`. A story should take seconds; what takes longer waits for the wrong thing.
const LONGEST_WAIT: Duration = Duration::from_mins(5);
