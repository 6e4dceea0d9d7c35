//! The options of writes, lists and watches, from the query.
//!
//! Imitates `meta/v1` options and their validation (`apimachinery/pkg/apis/meta/v1/validation`,
//! `internalversion/validation`).

use std::time::Duration;

use http::HeaderMap;
use http::header::USER_AGENT;

use super::path::Target;
use super::query::Query;
use crate::selector::{FieldSelector, LabelSelector};
use crate::status::ApiError;
use crate::store::{At, Continuation, ListQuery};
use crate::validation::FieldProblem;

/// What to do about fields that the schema does not know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum FieldValidation {
    Ignore,
    Strict,
    Warn,
}

/// The write that options are for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum WriteKind {
    Apply,
    Create,
    Patch,
    Update,
}

impl WriteKind {
    const fn options(self) -> &'static str {
        match self {
            Self::Apply | Self::Patch => "PatchOptions",
            Self::Create => "CreateOptions",
            Self::Update => "UpdateOptions",
        }
    }
}

/// Options of create, update and patch.
#[derive(Clone, Debug)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    /// Who owns the fields that this request sets.
    pub(crate) field_manager: String,
    pub(crate) field_validation: FieldValidation,
}

impl WriteOptions {
    /// Reads the options.
    pub(crate) fn parse(kind: WriteKind, query: &Query, headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut problems = Vec::new();
        let dry_run = dry_run(query.all("dryRun"), &mut problems);
        let field_validation = match query.text("fieldValidation").unwrap_or_default() {
            "" | "Warn" => FieldValidation::Warn,
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            other => {
                let supported = ["", "Ignore", "Strict", "Warn"];
                problems.push(FieldProblem::not_supported("fieldValidation", other, &supported));
                FieldValidation::Warn
            }
        };
        let named = query.text("fieldManager").unwrap_or_default();
        if named.len() > MANAGER_MAX_BYTES {
            problems.push(FieldProblem::too_long("fieldManager", MANAGER_MAX_BYTES));
        }
        match kind {
            WriteKind::Apply if named.is_empty() => {
                problems.push(FieldProblem::required("fieldManager", "is required for apply patch"));
            }
            WriteKind::Patch if query.text("force").is_some() => {
                problems.push(FieldProblem::forbidden("force", "may not be specified for non-apply patch"));
            }
            _ => {}
        }
        if !problems.is_empty() {
            return Err(ApiError::invalid(kind.options(), META_GROUP, "", &problems));
        }
        let field_manager = if named.is_empty() { manager_of_agent(headers) } else { named.to_owned() };
        Ok(Self { dry_run, field_manager, field_validation })
    }

    /// What becomes of the strict decoder's findings: an error, warnings, or nothing.
    pub(crate) fn judge(&self, strict: Vec<String>) -> Result<Vec<String>, String> {
        match self.field_validation {
            FieldValidation::Strict if !strict.is_empty() => {
                Err(format!("strict decoding error: {}", strict.join(", ")))
            }
            FieldValidation::Strict | FieldValidation::Ignore => Ok(Vec::new()),
            FieldValidation::Warn => Ok(strict),
        }
    }
}

/// Options of watch.
#[derive(Clone, Debug)]
pub(crate) struct WatchOptions {
    pub(crate) bookmarks: bool,
    /// The present objects first, then a bookmark that says so.
    pub(crate) send_initial_events: bool,
    /// The revision after which events are wanted; `None` for the present objects and what follows.
    pub(crate) after: Option<i64>,
    pub(crate) timeout: Option<Duration>,
}

/// What a list or a watch selects, and at which revision.
pub(crate) fn list_query(target: &Target, query: &Query) -> Result<ListQuery, ApiError> {
    let resource = target.resource;
    let labels = LabelSelector::parse(query.text("labelSelector").unwrap_or_default())
        .map_err(|error| ApiError::bad_request(error.to_string()))?;
    let fields = FieldSelector::parse(resource, query.text("fieldSelector").unwrap_or_default())
        .map_err(|error| ApiError::bad_request(error.to_string()))?;
    let limit = query.integer("limit")?.unwrap_or_default().max(0);
    let revision = revision(query)?;
    let matching = query.text("resourceVersionMatch").unwrap_or_default();
    let token = query.text("continue").unwrap_or_default();
    let mut problems = Vec::new();
    if !matching.is_empty() && !query.flag("watch") {
        if revision.is_none() {
            let text = "resourceVersionMatch is forbidden unless resourceVersion is provided";
            problems.push(FieldProblem::forbidden("resourceVersionMatch", text));
        }
        if !token.is_empty() {
            let text = "resourceVersionMatch is forbidden when continue is provided";
            problems.push(FieldProblem::forbidden("resourceVersionMatch", text));
        }
        if !["Exact", "NotOlderThan"].contains(&matching) {
            let supported = ["Exact", "NotOlderThan", ""];
            problems.push(FieldProblem::not_supported("resourceVersionMatch", matching, &supported));
        }
        if matching == "Exact" && revision == Some(0) {
            let text = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
            problems.push(FieldProblem::forbidden("resourceVersionMatch", text));
        }
    }
    if query.flag("sendInitialEvents") && !query.flag("watch") {
        problems.push(FieldProblem::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    if !problems.is_empty() {
        return Err(ApiError::invalid("ListOptions", META_GROUP, "", &problems));
    }
    let at = if token.is_empty() {
        match revision {
            // A list in chunks at a revision reads exactly it, as upstream's "legacy" match does.
            Some(revision) if revision > 0 && (matching == "Exact" || (matching.is_empty() && limit > 0)) => {
                At::Exactly(revision)
            }
            other => At::NotOlderThan(other.unwrap_or_default()),
        }
    } else {
        if revision.is_some_and(|revision| revision != 0) {
            return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
        }
        let continuation = Continuation::decode(token)
            .map_err(|error| ApiError::bad_request(format!("invalid continue token: {error}")))?;
        At::Continue(continuation)
    };
    Ok(ListQuery { resource, namespace: target.namespace.clone(), labels, fields, limit, at })
}

/// How to watch.
pub(crate) fn watch_options(query: &Query) -> Result<WatchOptions, ApiError> {
    let send_initial_events = query.flag("sendInitialEvents");
    let matching = query.text("resourceVersionMatch").unwrap_or_default();
    let mut problems = Vec::new();
    if query.text("sendInitialEvents").is_some() && matching != "NotOlderThan" {
        let text = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        problems.push(FieldProblem::forbidden("resourceVersionMatch", text));
    }
    if query.text("sendInitialEvents").is_none() && !matching.is_empty() {
        let text = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
        problems.push(FieldProblem::forbidden("resourceVersionMatch", text));
    }
    if !problems.is_empty() {
        return Err(ApiError::invalid("ListOptions", META_GROUP, "", &problems));
    }
    let after = revision(query)?.filter(|revision| *revision > 0 && !send_initial_events);
    let timeout = query.integer("timeoutSeconds")?.and_then(|seconds| u64::try_from(seconds).ok());
    Ok(WatchOptions {
        bookmarks: query.flag("allowWatchBookmarks"),
        send_initial_events,
        after,
        timeout: timeout.filter(|seconds| *seconds > 0).map(Duration::from_secs),
    })
}

fn revision(query: &Query) -> Result<Option<i64>, ApiError> {
    match query.text("resourceVersion").filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) => {
            let revision = text.parse::<i64>().ok().filter(|revision| *revision >= 0);
            revision.map(Some).ok_or_else(|| {
                let detail = format!("strconv.ParseUint: parsing {text:?}: invalid syntax");
                ApiError::bad_request(format!(
                    "invalid resource version: resourceVersion: Invalid value: {text:?}: {detail}"
                ))
            })
        }
    }
}

pub(super) fn dry_run<'a>(values: impl Iterator<Item = &'a str>, problems: &mut Vec<FieldProblem>) -> bool {
    let mut asked = false;
    for value in values.filter(|value| !value.is_empty()) {
        if value == "All" {
            asked = true;
        } else {
            problems.push(FieldProblem::not_supported("dryRun", value, &["All"]));
        }
    }
    asked
}

/// The first part of the user agent: `kubectl/v1.34.0 (linux/amd64)` is `kubectl`.
fn manager_of_agent(headers: &HeaderMap) -> String {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let name: String = agent.split('/').next().unwrap_or_default().chars().take(MANAGER_MAX_BYTES).collect();
    if name.is_empty() { "unknown".into() } else { name }
}

/// `FieldManagerMaxLength`.
const MANAGER_MAX_BYTES: usize = 128;
pub(super) const META_GROUP: &str = "meta.k8s.io";
