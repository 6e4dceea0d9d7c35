//! The raw shape of the file, and its way into rules. What is there and of which type is decided here, what it may say
//! in `validation`.

use std::num::NonZeroUsize;
use std::time::Duration;

use jiff::SignedDuration;

use super::duration;
use super::key::{self, RawKey};
use super::problem::{ConfigProblems, Problems};
use super::resource::GroupResource;
use super::rule::{KmsProvider, KmsVersion, ParseOptions, Provider, Rule};
use super::validation;
use super::yaml::{self, At, Fields, Node, Place};
use crate::keys::{KeyCipher, KeyList};
use crate::provider_name::ProviderName;
use crate::upstream::quote;

/// An element of `resources`, as far as it could be read.
#[derive(Debug)]
pub(super) struct RawRule {
    pub(super) resources: At<Vec<At<String>>>,
    pub(super) providers: At<Vec<RawProvider>>,
}

/// An element of `providers`.
#[derive(Debug)]
pub(super) struct RawProvider {
    pub(super) place: Place,
    /// The kinds it names; valid with exactly one.
    pub(super) kinds: Vec<RawKind>,
}

#[derive(Debug)]
pub(super) enum RawKind {
    Identity,
    Keys(KeyCipher, At<Vec<RawKey>>),
    Kms(Box<RawKms>),
}

/// A `kms` element. A field is `None` if it could not be read, which has been told, and empty if it is not there.
#[derive(Debug)]
pub(super) struct RawKms {
    pub(super) api_version: At<Option<String>>,
    pub(super) cachesize: Option<At<Option<i32>>>,
    pub(super) endpoint: At<Option<String>>,
    pub(super) name: At<Option<String>>,
    /// With its default.
    pub(super) timeout: At<Option<Timeout>>,
}

/// A time-out as it stands in the file, and its length.
#[derive(Debug)]
pub(super) struct Timeout {
    pub(super) text: String,
    pub(super) length: SignedDuration,
}

impl RawKms {
    /// With the default.
    pub(super) fn api_version(&self) -> Option<&str> {
        self.api_version.value.as_deref().map(|version| if version.is_empty() { "v1" } else { version })
    }
}

/// Reads a whole file.
pub(super) fn read(content: &[u8], options: ParseOptions) -> Result<Vec<Rule>, ConfigProblems> {
    let mut problems = Problems::default();
    let rules = match std::str::from_utf8(content) {
        Ok(text) if text.trim().is_empty() => {
            problems.add(&start(), "the file is empty");
            None
        }
        Ok(text) => {
            yaml::read_document(text, &mut problems, |document, problems| read_root(document, options, problems))
        }
        Err(error) => {
            problems.add(&place_of_byte(content, error.valid_up_to()), "the file is not UTF-8 text");
            None
        }
    };
    problems.into_result(rules)
}

fn read_root(document: Node<'_>, options: ParseOptions, problems: &mut Problems) -> Option<Vec<Rule>> {
    let place = document.place(&start());
    let fields = document.fields(&place, &["apiVersion", "kind", "resources"], problems)?;
    let expect = |name, wanted: &str, problems: &mut Problems| {
        let found = fields.string(name, problems);
        match found.value.as_deref() {
            Some("") => problems.required(&found.place, &format!("must be {}", quote(wanted))),
            Some(other) if other != wanted => {
                problems.invalid(&found.place, other, &format!("must be {}", quote(wanted)));
            }
            _ => {}
        }
    };
    expect("apiVersion", API_VERSION, problems);
    expect("kind", KIND, problems);
    let items = fields.items("resources", problems);
    let raw: Vec<_> = items.value.iter().filter_map(|item| read_rule(item, problems)).collect();
    validation::check(&raw, options, problems);
    let mut places = 0;
    Some(raw.into_iter().map(|rule| into_rule(rule, &mut places)).collect())
}

fn read_rule(item: &At<Node<'_>>, problems: &mut Problems) -> Option<RawRule> {
    let fields = item.value.fields(&item.place, &["providers", "resources"], problems)?;
    let resources = fields.items("resources", problems);
    let providers = fields.items("providers", problems);
    let read_name = |item: &At<Node<'_>>, problems: &mut Problems| {
        let value = item.value.string(&item.place, problems)?;
        Some(At { value, place: item.place.clone() })
    };
    Some(RawRule {
        resources: At {
            value: resources.value.iter().filter_map(|item| read_name(item, problems)).collect(),
            place: resources.place,
        },
        providers: At {
            value: providers.value.iter().filter_map(|item| read_provider(item, problems)).collect(),
            place: providers.place,
        },
    })
}

fn read_provider(item: &At<Node<'_>>, problems: &mut Problems) -> Option<RawProvider> {
    let fields = item.value.fields(&item.place, &["aescbc", "aesgcm", "identity", "kms", "secretbox"], problems)?;
    let mut kinds = Vec::new();
    // In the order in which upstream looks at the kinds of an element that names several.
    if let Some(kms) = fields.get("kms") {
        kinds.push(RawKind::Kms(Box::new(read_kms(&kms, problems)?)));
    }
    for cipher in [KeyCipher::AesGcm, KeyCipher::AesCbc, KeyCipher::Secretbox] {
        if let Some(field) = fields.get(cipher.name()) {
            kinds.push(RawKind::Keys(cipher, key::read_list(&field, problems)?));
        }
    }
    if let Some(identity) = fields.get("identity") {
        identity.value.fields(&identity.place, &[], problems)?;
        kinds.push(RawKind::Identity);
    }
    Some(RawProvider { place: item.place.clone(), kinds })
}

fn read_kms(kms: &At<Node<'_>>, problems: &mut Problems) -> Option<RawKms> {
    let known = ["apiVersion", "cachesize", "endpoint", "name", "timeout"];
    let fields = kms.value.fields(&kms.place, &known, problems)?;
    let cachesize = fields
        .get("cachesize")
        .map(|field| At { value: read_cachesize(field.value, &field.place, problems), place: field.place });
    Some(RawKms {
        api_version: fields.string("apiVersion", problems),
        cachesize,
        endpoint: fields.string("endpoint", problems),
        name: fields.string("name", problems),
        timeout: read_timeout(&fields, problems),
    })
}

fn read_cachesize(node: Node<'_>, place: &Place, problems: &mut Problems) -> Option<i32> {
    let number = node.integer(place, problems)?;
    let cachesize = i32::try_from(number).ok();
    if cachesize.is_none() {
        problems.add(place, format!("expected a number of 32 bits, found {number}"));
    }
    cachesize
}

fn read_timeout(fields: &Fields<'_>, problems: &mut Problems) -> At<Option<Timeout>> {
    let place = fields.place_of("timeout");
    let text = match fields.get("timeout") {
        Some(field) => field.value.string(&place, problems),
        None => Some(DEFAULT_TIMEOUT.to_owned()),
    };
    let value = text.and_then(|text| {
        let Some(length) = duration::parse(&text) else {
            problems.add(&place, format!("time: invalid duration {}", quote(&text)));
            return None;
        };
        Some(Timeout { text, length })
    });
    At { value, place }
}

/// Only what validation has found nothing wrong with is used in the end.
fn into_rule(raw: RawRule, places: &mut usize) -> Rule {
    let mut provider = |provider: RawProvider| match provider.kinds.into_iter().next()? {
        RawKind::Identity => Some(Provider::Identity),
        RawKind::Keys(cipher, keys) => {
            let keys = keys.value.into_iter().map(RawKey::into_named).collect::<Option<Vec<_>>>()?;
            KeyList::new(cipher, keys).map(Provider::Keys)
        }
        RawKind::Kms(kms) => {
            let kms = into_kms(*kms, *places)?;
            *places += 1;
            Some(Provider::Kms(kms))
        }
    };
    Rule {
        resources: raw.resources.value.iter().map(|name| GroupResource::parse(&name.value)).collect(),
        providers: raw.providers.value.into_iter().filter_map(&mut provider).collect(),
    }
}

fn into_kms(kms: RawKms, place: usize) -> Option<KmsProvider> {
    let is_v1 = kms.api_version() == Some("v1");
    let name = kms.name.value?;
    let version = if is_v1 {
        let cache_size = kms.cachesize.map_or(Some(DEFAULT_CACHE_SIZE), |size| size.value)?;
        // A negative size means no cache.
        let cache_size = usize::try_from(cache_size).ok().and_then(NonZeroUsize::new);
        KmsVersion::V1 { name, cache_size }
    } else {
        KmsVersion::V2(ProviderName::new(&name)?)
    };
    let timeout = Duration::try_from(kms.timeout.value?.length).ok()?;
    Some(KmsProvider::new(place, version, kms.endpoint.value?, timeout))
}

fn start() -> Place {
    Place { path: String::new(), line: 1, column: 1 }
}

fn place_of_byte(content: &[u8], offset: usize) -> Place {
    let before = String::from_utf8_lossy(content.get(..offset).unwrap_or_default());
    let last_line = before.rsplit('\n').next().unwrap_or_default();
    Place { path: String::new(), line: before.matches('\n').count() + 1, column: last_line.chars().count() + 1 }
}

const API_VERSION: &str = "apiserver.config.k8s.io/v1";
const KIND: &str = "EncryptionConfiguration";
/// Of a `kms` provider (`SetDefaults_KMSConfiguration`).
const DEFAULT_TIMEOUT: &str = "3s";
/// Of a `kms` provider of v1.
const DEFAULT_CACHE_SIZE: i32 = 1000;
