//! One broken rule of one field. Imitates `apimachinery/pkg/util/validation/field`.

use std::fmt;

/// A broken rule. Displays as `metadata.name: Required value: …`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FieldProblem {
    field: String,
    rule: Rule,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Rule {
    Forbidden { detail: String },
    Invalid { value: String, detail: String },
    NotSupported { value: String, supported: Vec<String> },
    Required { detail: String },
    TooLong { limit_bytes: usize },
}

impl FieldProblem {
    pub(crate) fn forbidden(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), rule: Rule::Forbidden { detail: detail.into() } }
    }

    /// `value` is a string, shown quoted.
    pub(crate) fn invalid(field: impl Into<String>, value: &str, detail: impl Into<String>) -> Self {
        Self { field: field.into(), rule: Rule::Invalid { value: format!("{value:?}"), detail: detail.into() } }
    }

    /// `value` is shown as it is.
    pub(crate) fn invalid_raw(field: impl Into<String>, value: String, detail: impl Into<String>) -> Self {
        Self { field: field.into(), rule: Rule::Invalid { value, detail: detail.into() } }
    }

    pub(crate) fn not_supported(field: impl Into<String>, value: &str, supported: &[&str]) -> Self {
        let supported = supported.iter().map(|name| format!("{name:?}")).collect();
        Self { field: field.into(), rule: Rule::NotSupported { value: format!("{value:?}"), supported } }
    }

    pub(crate) fn required(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), rule: Rule::Required { detail: detail.into() } }
    }

    pub(crate) fn too_long(field: impl Into<String>, limit_bytes: usize) -> Self {
        Self { field: field.into(), rule: Rule::TooLong { limit_bytes } }
    }

    /// The path of the field.
    pub(crate) fn field(&self) -> &str {
        &self.field
    }

    /// The `reason` of a `StatusCause`.
    pub(crate) const fn reason(&self) -> &'static str {
        match self.rule {
            Rule::Forbidden { .. } => "FieldValueForbidden",
            Rule::Invalid { .. } => "FieldValueInvalid",
            Rule::NotSupported { .. } => "FieldValueNotSupported",
            Rule::Required { .. } => "FieldValueRequired",
            Rule::TooLong { .. } => "FieldValueTooLong",
        }
    }

    /// The text without the path: the `message` of a `StatusCause`.
    pub(crate) fn body(&self) -> String {
        let (head, detail) = match &self.rule {
            Rule::Forbidden { detail } => ("Forbidden".to_owned(), detail.clone()),
            Rule::Invalid { value, detail } => (format!("Invalid value: {value}"), detail.clone()),
            Rule::NotSupported { value, supported } => {
                (format!("Unsupported value: {value}"), format!("supported values: {}", supported.join(", ")))
            }
            Rule::Required { detail } => ("Required value".to_owned(), detail.clone()),
            Rule::TooLong { limit_bytes } => {
                ("Too long".to_owned(), format!("may not be more than {limit_bytes} bytes"))
            }
        };
        if detail.is_empty() { head } else { format!("{head}: {detail}") }
    }
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}
