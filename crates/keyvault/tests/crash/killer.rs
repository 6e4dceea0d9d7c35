//! Works with a vault, kills it at a random moment, and compares what comes back with what was acknowledged.
//!
//! The one change that was on its way when the vault died may have happened or not; everything else is known for sure.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use clock::Clock;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::victim::{CLIENT_ID, CLIENT_SECRET, TENANT, WORD};

/// What is known of an object.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
struct Known {
    versions: Vec<String>,
    /// The last version's tag `n`.
    tag: Option<String>,
    deleted: bool,
}

#[derive(Clone, Copy, Debug)]
enum Change {
    Delete,
    Make,
    Purge,
    Recover,
    Tag(u64),
}

/// A vault at work and the client that works with it.
struct Victim {
    process: Child,
    base: String,
    client: Client,
}

pub(crate) fn run() {
    let origin = Clock::new().now().as_microsecond().unsigned_abs() | 1;
    let mut random = Random(origin);
    let dir = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (mut acknowledged, mut undecided) = (0, 0);
    runtime.block_on(async {
        let mut known: BTreeMap<String, Known> = BTreeMap::new();
        let mut token = None;
        for round in 0..ROUNDS {
            let victim = Victim::start(dir.path());
            let token: &String = match &mut token {
                Some(token) => token,
                none => none.insert(victim.token().await),
            };
            let calm = random.below(12);
            for _ in 0..calm {
                let (object, change) = random.change(&known);
                let answer = victim.carry_out(token, &object, change).await;
                note(&mut known, &object, change, &answer);
                acknowledged += 1;
            }
            let (object, change) = random.change(&known);
            let moment = Duration::from_micros(random.below(6_000));
            let answer = tokio::time::timeout(moment, victim.carry_out(token, &object, change)).await;
            victim.kill();
            let doubtful = match answer {
                Ok(answer) => {
                    note(&mut known, &object, change, &answer);
                    acknowledged += 1;
                    None
                }
                Err(_) => Some((object, change)),
            };

            let witness = Victim::start(dir.path());
            for object in OBJECTS {
                let seen = witness.look(token, object).await;
                let before = known.get(object).cloned();
                if agree(before.as_ref(), seen.as_ref()) {
                    continue;
                }
                let is_doubtful = doubtful.as_ref().is_some_and(|(doubtful, _)| doubtful == object);
                assert!(is_doubtful, "round {round}, random numbers from {origin}: {object} was {before:?} and is {seen:?}");
                let (_, change) = doubtful.as_ref().unwrap();
                let after = carried_out(before.clone(), *change, seen.as_ref());
                assert!(
                    agree(after.as_ref(), seen.as_ref()),
                    "round {round}, random numbers from {origin}: {object} was {before:?}, {change:?} was under way, it is {seen:?}"
                );
                undecided += 1;
                match after {
                    Some(after) => known.insert(object.to_owned(), after),
                    None => known.remove(object),
                };
            }
            witness.kill();
        }
    });
    let mut out = std::io::stdout();
    writeln!(out, "{ROUNDS} crashes, {acknowledged} acknowledged changes kept, {undecided} happened unanswered")
        .unwrap();
}

impl Victim {
    fn start(data_dir: &Path) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut process =
            Command::new(program).arg(WORD).arg(data_dir).stdout(Stdio::piped()).spawn().expect("a victim starts");
        let mut address = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut address).unwrap();
        assert!(!address.is_empty(), "the victim did not come up again");
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        Self { process, base: format!("http://{}", address.trim()), client }
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    async fn token(&self) -> String {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", CLIENT_ID),
            ("client_secret", CLIENT_SECRET),
            ("resource", "https://vault.azure.net"),
        ];
        let url = format!("{}/{TENANT}/oauth2/token?api-version=1.0", self.base);
        let answer: Value = self.client.post(url).form(&form).send().await.unwrap().json().await.unwrap();
        answer["access_token"].as_str().expect("a token").to_owned()
    }

    async fn call(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let url = format!("{}/kyanite.vault.azure.net{path}?api-version=7.4", self.base);
        let request = self.client.request(method.parse().unwrap(), url).bearer_auth(token);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        let response = request.send().await.unwrap();
        let status = response.status();
        let body = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or_default())
    }

    async fn carry_out(&self, token: &str, object: &str, change: Change) -> Value {
        let is_key = object.starts_with("keys");
        let (method, path, body) = match change {
            Change::Delete => ("DELETE", format!("/{object}"), None),
            Change::Make if is_key => ("POST", format!("/{object}/create"), Some(json!({ "kty": "EC" }))),
            Change::Make => ("PUT", format!("/{object}"), Some(json!({ "value": "secret" }))),
            Change::Purge => ("DELETE", format!("/deleted{object}"), None),
            Change::Recover => ("POST", format!("/deleted{object}/recover"), None),
            Change::Tag(n) => ("PATCH", format!("/{object}"), Some(json!({ "tags": { "n": n.to_string() } }))),
        };
        let (status, answer) = self.call(token, method, &path, body).await;
        assert!(status.is_success(), "{change:?} of {object}: {status} {answer}");
        answer
    }

    /// What there is of an object.
    async fn look(&self, token: &str, object: &str) -> Option<Known> {
        if self.call(token, "GET", &format!("/deleted{object}"), None).await.0 == StatusCode::OK {
            return Some(Known { deleted: true, ..Known::default() });
        }
        let (status, list) = self.call(token, "GET", &format!("/{object}/versions"), None).await;
        if status == StatusCode::NOT_FOUND {
            return None;
        }
        let items = list["value"].as_array().unwrap_or_else(|| panic!("versions of {object}: {status} {list}"));
        assert_eq!(list["nextLink"], Value::Null, "so few changes make no second page");
        let id = |item: &Value| version_of(item).expect("an id");
        let (status, latest) = self.call(token, "GET", &format!("/{object}"), None).await;
        assert_eq!(status, StatusCode::OK, "{latest}");
        let tag = latest["tags"]["n"].as_str().map(str::to_owned);
        Some(Known { versions: items.iter().map(id).collect(), tag, deleted: false })
    }
}

/// Random numbers (xorshift): nothing here needs better ones.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    /// A change that must succeed, given what is known.
    fn change(&mut self, known: &BTreeMap<String, Known>) -> (String, Change) {
        let index = usize::try_from(self.below(OBJECTS.len().try_into().unwrap())).unwrap();
        let object = OBJECTS[index];
        let change = match known.get(object) {
            None => Change::Make,
            Some(known) if known.deleted => [Change::Purge, Change::Recover][usize::from(self.below(2) == 0)],
            Some(known) => match self.below(5) {
                0 | 1 if known.versions.len() < 20 => Change::Make,
                0..=2 => Change::Delete,
                _ => Change::Tag(self.below(1_000_000)),
            },
        };
        (object.to_owned(), change)
    }
}

/// Enters an acknowledged change.
fn note(known: &mut BTreeMap<String, Known>, object: &str, change: Change, answer: &Value) {
    let made = version_of(answer).map(|id| Known { versions: vec![id], ..Known::default() });
    if let Some(after) = carried_out(known.remove(object), change, made.as_ref()) {
        known.insert(object.to_owned(), after);
    }
}

/// An object after a change; `seen` tells the id of a version that was made.
fn carried_out(before: Option<Known>, change: Change, seen: Option<&Known>) -> Option<Known> {
    let mut known = before.unwrap_or_default();
    match change {
        Change::Delete => known.deleted = true,
        Change::Make => {
            known.versions.extend(seen.and_then(|seen| seen.versions.last().cloned()));
            known.tag = None;
        }
        Change::Purge => return None,
        Change::Recover => known.deleted = false,
        Change::Tag(n) => known.tag = Some(n.to_string()),
    }
    Some(known)
}

/// Whether what is known and what is seen are the same; the versions of a deleted object cannot be seen.
fn agree(known: Option<&Known>, seen: Option<&Known>) -> bool {
    match (known, seen) {
        (Some(known), Some(seen)) if known.deleted => seen.deleted,
        (known, seen) => known == seen,
    }
}

/// The version id in a bundle or an item.
fn version_of(bundle: &Value) -> Option<String> {
    let id = bundle["key"]["kid"].as_str().or(bundle["kid"].as_str()).or(bundle["id"].as_str())?;
    id.rsplit('/').next().map(str::to_owned)
}

const ROUNDS: u64 = 100;
const OBJECTS: [&str; 6] = ["keys/a", "keys/b", "keys/c", "secrets/a", "secrets/b", "secrets/c"];
