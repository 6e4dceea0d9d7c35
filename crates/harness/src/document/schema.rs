//! A type's JSON schema, and its violations in words that a person who wrote the file can act on.

use std::fmt::Write as _;

use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::{ValidationError, Validator};
use schemars::JsonSchema;
use serde_json::Value;

use super::problem::{Problem, Source};
use super::tree::{Places, push_segment};

/// The schema of one type.
pub(super) struct Schema {
    root: Value,
}

impl Schema {
    pub(super) fn of<T: JsonSchema>() -> Self {
        Self { root: schemars::schema_for!(T).to_value() }
    }

    pub(super) fn text(&self) -> String {
        // The alternate form of a JSON value is indented JSON.
        format!("{:#}\n", self.root)
    }

    /// Every violation of this schema, at its place.
    pub(super) fn problems(&self, value: &Value, places: &Places, source: &Source) -> Vec<Problem> {
        let report = Report { schema: &self.root, places, source };
        match Validator::new(&self.root) {
            Ok(validator) => validator.iter_errors(value).flat_map(|error| report.problems(&error)).collect(),
            // Generated schemas are valid; each is compiled by its owner's tests.
            Err(error) => vec![Problem::at(source, 0..0, "", format!("its schema cannot be used: {error}"))],
        }
    }
}

struct Report<'a> {
    schema: &'a Value,
    places: &'a Places,
    source: &'a Source,
}

impl Report<'_> {
    fn problems(&self, error: &ValidationError<'_>) -> Vec<Problem> {
        let pointer = error.instance_path().as_str();
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected }
            | ValidationErrorKind::UnevaluatedProperties { unexpected } => unexpected
                .iter()
                .map(|key| {
                    let mut of_key = pointer.to_owned();
                    push_segment(&mut of_key, key);
                    let problem = Problem::at_key(self.source, self.places, &of_key, format!("unknown key `{key}`"));
                    with_hint(problem, self.known_keys(error))
                })
                .collect(),
            ValidationErrorKind::Required { property } => {
                let message = format!("key {} is missing", quoted(property));
                let problem = Problem::at_key(self.source, self.places, pointer, message);
                vec![with_hint(problem, self.description_of_property(error, property))]
            }
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                self.alternatives(error, context)
            }
            kind => {
                let description = self.description(error);
                let message = match kind {
                    // The description says it better than a pattern that fills a line.
                    ValidationErrorKind::Pattern { pattern }
                        if description.is_some() && pattern.len() > SHOWN_CHARACTERS + 10 =>
                    {
                        format!("{} does not have the form that is needed here", shown(error.instance().as_ref()))
                    }
                    kind => message(kind, error),
                };
                let problem = Problem::at_value(self.source, self.places, pointer, message);
                vec![with_hint(problem, description)]
            }
        }
    }

    /// A value that fits none of several shapes: the problems of the one shape that was meant, if that can be told.
    fn alternatives(&self, error: &ValidationError<'_>, context: &[Vec<ValidationError<'static>>]) -> Vec<Problem> {
        let pointer = error.instance_path().as_str();
        let meant = context.iter().find(|branch| branch.iter().all(|error| is_inside(error, pointer)));
        if let Some(branch) = meant {
            return branch.iter().flat_map(|error| self.problems(error)).collect();
        }
        // An optional value is `anyOf` its shape and null.
        let shapes: Vec<_> = context.iter().filter(|branch| !only_null_expected(branch)).collect();
        if let [branch] = shapes.as_slice() {
            return branch.iter().flat_map(|error| self.problems(error)).collect();
        }
        let mut names: Vec<String> = Vec::new();
        for error in shapes.iter().copied().flatten() {
            match error.kind() {
                ValidationErrorKind::Required { property } if is_at(error, pointer) => names.push(quoted(property)),
                ValidationErrorKind::Constant { expected_value } if is_at(error, pointer) => {
                    names.push(quoted(expected_value));
                }
                ValidationErrorKind::Enum { options } if is_at(error, pointer) => {
                    names.extend(options.as_array().into_iter().flatten().map(quoted));
                }
                _ => {}
            }
        }
        let found = match error.instance().as_ref() {
            Value::Object(entries) => entries.keys().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", "),
            other => shown(other),
        };
        let message = if names.is_empty() {
            format!("{found} has none of the shapes that are known here")
        } else {
            names.dedup();
            format!("{found}: expected one of {}", names.join(", "))
        };
        vec![Problem::at_value(self.source, self.places, pointer, message)]
    }

    fn known_keys(&self, error: &ValidationError<'_>) -> Option<String> {
        let properties = self.around(error)?.get("properties")?.as_object()?;
        let names: Vec<_> = properties.keys().map(|key| format!("`{key}`")).collect();
        Some(format!("known here: {}", names.join(", ")))
    }

    fn description_of_property(&self, error: &ValidationError<'_>, property: &Value) -> Option<String> {
        let description = self.around(error)?.get("properties")?.get(property.as_str()?)?.get("description")?;
        Some(description.as_str()?.replace('\n', " "))
    }

    fn description(&self, error: &ValidationError<'_>) -> Option<String> {
        Some(self.around(error)?.get("description")?.as_str()?.replace('\n', " "))
    }

    /// The schema that holds the keyword which was violated.
    fn around(&self, error: &ValidationError<'_>) -> Option<&Value> {
        let keyword = error.schema_path().as_str();
        self.schema.pointer(keyword.get(..keyword.rfind('/')?)?)
    }
}

fn message(kind: &ValidationErrorKind, error: &ValidationError<'_>) -> String {
    let found = shown(error.instance().as_ref());
    match kind {
        ValidationErrorKind::Type { kind: TypeKind::Single(expected) } => {
            format!("expected {}, found {found}", type_name(expected.as_str()))
        }
        ValidationErrorKind::Type { kind: TypeKind::Multiple(expected) } => {
            let names: Vec<_> = expected.iter().map(|expected| type_name(expected.as_str())).collect();
            format!("expected {}, found {found}", names.join(" or "))
        }
        ValidationErrorKind::Enum { options } => {
            let names: Vec<_> = options.as_array().into_iter().flatten().map(quoted).collect();
            format!("{found}: expected one of {}", names.join(", "))
        }
        ValidationErrorKind::Constant { expected_value } => format!("{found}: expected {}", quoted(expected_value)),
        ValidationErrorKind::Pattern { pattern } => format!("{found} does not match `{pattern}`"),
        ValidationErrorKind::Minimum { limit } => format!("{found} is less than {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("{found} is more than {limit}"),
        ValidationErrorKind::MinItems { limit } => format!("at least {limit} of these are needed"),
        ValidationErrorKind::MaxItems { limit } => format!("more than {limit} of these"),
        ValidationErrorKind::MinLength { limit } => format!("{found} is shorter than {limit} characters"),
        ValidationErrorKind::MaxLength { limit } => format!("{found} is longer than {limit} characters"),
        _ => error.to_string(),
    }
}

fn is_at(error: &ValidationError<'_>, pointer: &str) -> bool {
    error.instance_path().as_str() == pointer
}

fn is_inside(error: &ValidationError<'_>, pointer: &str) -> bool {
    !is_at(error, pointer)
}

fn only_null_expected(branch: &[ValidationError<'_>]) -> bool {
    matches!(branch, [error] if matches!(error.kind(), ValidationErrorKind::Type { kind: TypeKind::Single(expected) } if expected.as_str() == "null"))
}

fn with_hint(problem: Problem, hint: Option<String>) -> Problem {
    match hint {
        Some(hint) => problem.with_help(hint),
        None => problem,
    }
}

/// A scalar as it is, a container by its kind.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
        Value::String(text) => {
            let mut shown = String::from("`");
            // A long text is cut: the report shows its line anyway.
            shown.extend(text.chars().take(SHOWN_CHARACTERS));
            let _ = write!(shown, "{}`", if text.chars().count() > SHOWN_CHARACTERS { "..." } else { "" });
            shown
        }
        Value::Bool(_) | Value::Number(_) => format!("`{value}`"),
    }
}

fn quoted(value: &Value) -> String {
    value.as_str().map_or_else(|| format!("`{value}`"), |text| format!("`{text}`"))
}

fn type_name(json: &str) -> &str {
    match json {
        "array" => "a list",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "null" => "nothing",
        "number" => "a number",
        "object" => "a mapping",
        "string" => "a text",
        other => other,
    }
}

const SHOWN_CHARACTERS: usize = 40;

/// Proof that a schema under `schemas/` is the one that the code has.
#[cfg(test)]
pub(crate) mod testing {
    use std::path::Path;

    /// Compares `schemas/{name}` with `text`; with `KYANITE_UPDATE=1` writes it instead.
    #[track_caller]
    pub(crate) fn assert_current(name: &str, text: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas").join(name);
        if std::env::var_os("KYANITE_UPDATE").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, text).unwrap();
        }
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(stored == text, "schemas/{name} is not current: run `just generate`");
    }
}
