//! Field selectors: `metadata.name=a,type!=Opaque`.
//!
//! Imitates `apimachinery/pkg/fields/selector.go`, and the fields that `pkg/apis/core/v1/conversion.go` allows.

use thiserror::Error;

use crate::object::Object;
use crate::resource::Resource;

/// Terms that all have to hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct FieldSelector {
    terms: Vec<Term>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Term {
    field: Selectable,
    equals: bool,
    value: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Selectable {
    Name,
    Namespace,
    Phase,
    Type,
}

impl FieldSelector {
    /// Reads a selector over the fields of `resource`; the empty text selects everything.
    ///
    /// # Errors
    ///
    /// [`FieldSelectorError`], whose text is the message of upstream's 400.
    pub(crate) fn parse(resource: Resource, text: &str) -> Result<Self, FieldSelectorError> {
        let mut terms = Vec::new();
        for part in split_terms(text).into_iter().filter(|part| !part.is_empty()) {
            let Some((name, equals, value)) = split_term(&part) else {
                return Err(FieldSelectorError::Term { selector: text.to_owned(), term: part });
            };
            let field = selectable(resource, name)?;
            terms.push(Term { field, equals, value: unescape(value)? });
        }
        Ok(Self { terms })
    }

    /// Whether every object is selected.
    pub(crate) const fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether `object` is selected.
    pub(crate) fn matches(&self, object: &Object) -> bool {
        self.terms.iter().all(|term| {
            let value = match term.field {
                Selectable::Name => object.name(),
                Selectable::Namespace => object.namespace(),
                Selectable::Phase => phase(object),
                Selectable::Type => secret_type(object),
            };
            (value == term.value) == term.equals
        })
    }

    /// The only name that can be selected, if there is one: a list or watch of it reads one key.
    pub(crate) fn name(&self) -> Option<&str> {
        let term = self.terms.iter().find(|term| term.field == Selectable::Name && term.equals)?;
        Some(&term.value)
    }
}

fn selectable(resource: Resource, name: &str) -> Result<Selectable, FieldSelectorError> {
    match (resource, name) {
        (_, "metadata.name") => Ok(Selectable::Name),
        (Resource::ConfigMaps | Resource::Secrets, "metadata.namespace") => Ok(Selectable::Namespace),
        (Resource::Namespaces, "status.phase") => Ok(Selectable::Phase),
        (Resource::Secrets, "type") => Ok(Selectable::Type),
        (Resource::ConfigMaps, _) => Err(FieldSelectorError::Unknown { name: name.to_owned() }),
        (Resource::Namespaces | Resource::Secrets, _) => Err(FieldSelectorError::Unsupported { name: name.to_owned() }),
    }
}

fn phase(object: &Object) -> &str {
    match object {
        Object::Namespace(object) => {
            object.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
        }
        Object::ConfigMap(_) | Object::Secret(_) => "",
    }
}

fn secret_type(object: &Object) -> &str {
    match object {
        Object::Secret(object) => object.type_.as_deref().unwrap_or_default(),
        Object::ConfigMap(_) | Object::Namespace(_) => "",
    }
}

/// Splits at commas that no backslash escapes.
fn split_terms(text: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut escaped = false;
    for char in text.chars() {
        if char == ',' && !escaped {
            terms.push(String::new());
        } else if let Some(last) = terms.last_mut() {
            last.push(char);
        }
        escaped = char == '\\' && !escaped;
    }
    terms
}

fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    let at = term.find(['=', '!'])?;
    let (name, rest) = term.split_at(at);
    for (operator, equals) in [("!=", false), ("==", true), ("=", true)] {
        if let Some(value) = rest.strip_prefix(operator) {
            return Some((name, equals, value));
        }
    }
    None
}

fn unescape(value: &str) -> Result<String, FieldSelectorError> {
    let mut text = String::new();
    let mut chars = value.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some(escaped @ ('\\' | ',' | '=')) => text.push(escaped),
                Some(other) => return Err(FieldSelectorError::Escape { sequence: format!("\\{other}") }),
                None => return Err(FieldSelectorError::Escape { sequence: "\\".into() }),
            },
            ',' | '=' => return Err(FieldSelectorError::Unescaped { char }),
            other => text.push(other),
        }
    }
    Ok(text)
}

/// A field selector that is none. The text is the message of upstream's 400.
#[derive(Debug, Eq, Error, PartialEq)]
pub(crate) enum FieldSelectorError {
    #[error("invalid field selector: invalid escape sequence: {sequence}")]
    Escape { sequence: String },
    #[error("invalid selector: '{selector}'; can't understand '{term}'")]
    Term { selector: String, term: String },
    #[error("invalid field selector: unescaped character in value: {char}")]
    Unescaped { char: char },
    #[error("{name:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")]
    Unknown { name: String },
    #[error("field label not supported: {name}")]
    Unsupported { name: String },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn opaque(name: &str) -> Object {
        let value = json!({"metadata": {"name": name, "namespace": "default"}, "type": "Opaque"});
        Object::from_json(Resource::Secrets, value).unwrap()
    }

    #[test]
    fn selects_by_the_fields_of_the_kind() {
        let object = opaque("a");
        for (text, selected) in [
            ("", true),
            ("metadata.name=a", true),
            ("metadata.name==a,type=Opaque", true),
            ("metadata.name!=b", true),
            ("type!=Opaque", false),
            ("metadata.namespace=kube-system", false),
        ] {
            assert_eq!(FieldSelector::parse(Resource::Secrets, text).unwrap().matches(&object), selected, "{text}");
        }
    }

    #[test]
    fn refuses_with_a_reason() {
        let error = |resource, text: &str| FieldSelector::parse(resource, text).unwrap_err().to_string();
        insta::assert_snapshot!(error(Resource::Secrets, "foo=a"), @"field label not supported: foo");
        insta::assert_snapshot!(error(Resource::ConfigMaps, "foo=a"), @r#""foo" is not a known field selector: only "metadata.name", "metadata.namespace""#);
        insta::assert_snapshot!(error(Resource::Secrets, "foo"), @"invalid selector: 'foo'; can't understand 'foo'");
    }

    proptest! {
        #[test]
        fn never_panics(text in r"(metadata\.name|type|x|[=!,\\ä])*") {
            for resource in Resource::ALL {
                if let Ok(selector) = FieldSelector::parse(resource, &text) {
                    selector.matches(&opaque("a"));
                }
            }
        }
    }
}
