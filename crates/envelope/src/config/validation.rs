//! What a configuration may say.
//!
//! Rules and texts: kube-apiserver's `apis/apiserver/validation/validation_encryption.go`, and for masking
//! `encryptionconfig/config.go`.

use std::collections::HashSet;

use super::file::{RawKind, RawKms, RawProvider, RawRule};
use super::key;
use super::problem::Problems;
use super::resource::{ANY, GroupResource};
use super::rule::ParseOptions;
use super::yaml::{At, Place};
use crate::upstream::quote;

pub(super) fn check(rules: &[RawRule], options: ParseOptions, problems: &mut Problems) {
    let mut names = Names { used: HashSet::new(), reload: options.reload };
    let mut earlier = HashSet::new();
    for rule in rules {
        check_overlap(rule, problems);
        for name in &rule.resources.value {
            check_resource(name, problems);
            check_masking(name, &earlier, problems);
        }
        earlier.extend(rule.resources.value.iter().map(|name| GroupResource::parse(&name.value)));
        for provider in &rule.providers.value {
            check_provider(provider, &mut names, problems);
        }
    }
    // Upstream comes to this only with a file that is valid so far.
    if !options.kms_v1 && problems.is_empty() {
        refuse_v1(rules, problems);
    }
}

/// The names of the KMS providers so far.
struct Names<'r> {
    used: HashSet<&'r str>,
    reload: bool,
}

fn check_provider<'r>(provider: &'r RawProvider, names: &mut Names<'r>, problems: &mut Problems) {
    match provider.kinds.as_slice() {
        [] => problems.add(&provider.place, format!("Invalid value: {NO_PROVIDER}")),
        [_] => {}
        _ => problems.add(&provider.place, format!("Invalid value: {TWO_PROVIDERS}")),
    }
    // Of several, upstream looks into the first only.
    match provider.kinds.first() {
        None | Some(RawKind::Identity) => {}
        Some(RawKind::Keys(cipher, keys)) => key::check(keys, *cipher, problems),
        Some(RawKind::Kms(kms)) => check_kms(kms, names, problems),
    }
}

fn refuse_v1(rules: &[RawRule], problems: &mut Problems) {
    let kinds = rules.iter().flat_map(|rule| &rule.providers.value).flat_map(|provider| &provider.kinds);
    for kind in kinds {
        if let RawKind::Kms(kms) = kind
            && kms.api_version() == Some("v1")
        {
            problems.add(&kms.api_version.place, KMS_V1_OFF);
        }
    }
}

fn check_kms<'r>(kms: &'r RawKms, names: &mut Names<'r>, problems: &mut Problems) {
    let is_v1 = kms.api_version() == Some("v1");
    if let Some(name) = &kms.name.value {
        check_name(name, &kms.name.place, is_v1, names, problems);
    }
    if let Some(timeout) = kms.timeout.value.as_ref().filter(|timeout| !timeout.length.is_positive()) {
        problems.invalid(&kms.timeout.place, &timeout.text, "timeout should be a positive value");
    }
    if let Some(endpoint) = &kms.endpoint.value {
        check_endpoint(endpoint, &kms.endpoint.place, problems);
    }
    if let Some(At { value: Some(value), place }) = &kms.cachesize {
        match value {
            _ if !is_v1 => problems.add(place, format!("Invalid value: {value}: cachesize is not supported in v2")),
            0 => problems.add(place, "Invalid value: 0: cachesize should be a positive value, or negative to disable"),
            _ => {}
        }
    }
    match kms.api_version() {
        None | Some("v1" | "v2") => {}
        // The doubled word is upstream's.
        Some(other) => problems.invalid(
            &kms.api_version.place,
            other,
            "unsupported apiVersion apiVersion for KMS provider, only v1 and v2 are supported",
        ),
    }
}

fn check_name<'r>(name: &'r str, place: &Place, is_v1: bool, names: &mut Names<'r>, problems: &mut Problems) {
    if name.is_empty() {
        problems.required(place, "name is a mandatory field for a provider");
    }
    if !is_v1 && name.contains(':') {
        problems.invalid(place, name, &format!("invalid KMS provider name {name}, must not contain ':'"));
    }
    let is_new = names.used.insert(name);
    if !is_new && (names.reload || !is_v1) {
        problems.invalid(place, name, &format!("duplicate KMS provider name {name}, names must be unique"));
    }
}

fn check_endpoint(text: &str, place: &Place, problems: &mut Problems) {
    if text.is_empty() {
        return problems.invalid(place, "", "endpoint is a mandatory field for a kms");
    }
    if text.chars().any(|c| c.is_ascii_control()) {
        let why = format!(
            "invalid endpoint for kms provider, error: parse {}: net/url: invalid control character in URL",
            quote(text)
        );
        return problems.invalid(place, text, &why);
    }
    let (scheme, rest) = text.split_once(':').unwrap_or(("", text));
    if !scheme.eq_ignore_ascii_case("unix") {
        let why =
            format!("unsupported scheme {} for KMS provider, only unix is supported", quote(&scheme.to_lowercase()));
        return problems.invalid(place, text, &why);
    }
    // Differs: upstream starts with such an endpoint and then cannot dial it.
    let names_a_socket =
        |path: &str| path.starts_with('/') && !path.ends_with(['/', '@']) && !path.contains(['?', '#']);
    if !rest.strip_prefix("//").is_some_and(names_a_socket) {
        problems.invalid(
            place,
            text,
            "the endpoint must name a socket as unix:///path, or unix:///@name for an abstract one",
        );
    }
}

fn check_overlap(rule: &RawRule, problems: &mut Problems) {
    let resources: Vec<_> = rule.resources.value.iter().map(|name| GroupResource::parse(&name.value)).collect();
    // As upstream's loop has it: of equal pairs only the first is no overlap, so `*.` twice is one of both kinds.
    let (mut duplicate, mut overlap) = (false, false);
    for (position, one) in resources.iter().enumerate() {
        for (_, other) in resources.iter().enumerate().filter(|(index, _)| *index != position) {
            if one == other && !duplicate {
                duplicate = true;
                continue;
            }
            overlap |= one.is_any();
            overlap |= one.group == other.group && (one.resource == ANY || other.resource == ANY);
        }
    }
    let names: Vec<_> = rule.resources.value.iter().map(|name| quote(&name.value)).collect();
    let mut invalid = |why| problems.add(&rule.resources.place, format!("Invalid value: [{}]: {why}", names.join(",")));
    if duplicate {
        invalid("the same resource cannot be specified multiple times");
    }
    if overlap {
        invalid(
            "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be \
             masked",
        );
    }
}

fn check_resource(name: &At<String>, problems: &mut Problems) {
    let At { value: text, place } = name;
    let parsed = GroupResource::parse(text);
    let why = if text.chars().any(char::is_uppercase) {
        "resource name should not contain capital letters"
    } else if text == ANY {
        "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources"
    } else if NON_REST.contains(&text.as_str()) {
        "resources which do not have REST API/s cannot be encrypted"
    } else if parsed.group == "events.k8s.io" {
        "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the config file"
    } else if parsed.group == "extensions" {
        "'extensions' group has been removed and cannot be used for encryption"
    } else if parsed.group == ANY && parsed.resource != ANY {
        "encrypting the same resource across groups is not supported"
    } else {
        return;
    };
    problems.invalid(place, text, why);
}

fn check_masking(name: &At<String>, earlier: &HashSet<GroupResource>, problems: &mut Problems) {
    let resource = GroupResource::parse(&name.value);
    for rule in [resource.any_in_group(), GroupResource::any()] {
        if earlier.contains(&rule) {
            let (resource, rule) = (quote(&resource.to_string()), quote(&rule.to_string()));
            return problems.add(&name.place, format!("resource {resource} is masked by earlier rule {rule}"));
        }
    }
}

const KMS_V1_OFF: &str = "KMSv1 is deprecated and will only receive security updates going forward. Use KMSv2 instead.  Set \
     --feature-gates=KMSv1=true to use the deprecated KMSv1 feature.";
const NON_REST: [&str; 3] = ["apiserveripinfo", "serviceipallocations", "servicenodeportallocations"];
const NO_PROVIDER: &str =
    "provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity";
const TWO_PROVIDERS: &str =
    "more than one provider specified in a single element, should split into different list elements";
