//! What a path under `/api/v1` means. Imitates `apiserver/pkg/endpoints/request/requestinfo.go`.

use crate::resource::Resource;

/// A place of the API.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Path {
    /// All objects of a resource, everywhere or in one namespace.
    Collection(Target),
    /// One object.
    Object(Target, String),
    /// A part of an object that has a path of its own.
    Subresource(Target, String, String),
}

/// A resource and where its objects live.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Target {
    pub(crate) resource: Resource,
    /// `None` for all namespaces, and for objects that live in none.
    pub(crate) namespace: Option<String>,
}

impl Target {
    /// The namespace of an object of this target; empty if it lives in none.
    pub(crate) fn namespace(&self) -> &str {
        self.namespace.as_deref().unwrap_or_default()
    }
}

impl Path {
    /// Reads the part after `/api/v1/`. `None` for a path that this server does not have.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let segments = path.trim_end_matches('/').split('/').map(segment).collect::<Option<Vec<String>>>()?;
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        match parts.as_slice() {
            ["namespaces", namespace, plural, rest @ ..] if Resource::from_plural(plural).is_some() => {
                let resource = Resource::from_plural(plural).filter(|resource| resource.is_namespaced())?;
                Self::below(Target { resource, namespace: Some((*namespace).to_owned()) }, rest)
            }
            [plural] => {
                let resource = Resource::from_plural(plural)?;
                Some(Self::Collection(Target { resource, namespace: None }))
            }
            ["namespaces", rest @ ..] => Self::below(Target { resource: Resource::Namespaces, namespace: None }, rest),
            _ => None,
        }
    }

    /// The resource that is asked for.
    pub(crate) const fn target(&self) -> &Target {
        match self {
            Self::Collection(target) | Self::Object(target, _) | Self::Subresource(target, _, _) => target,
        }
    }

    fn below(target: Target, rest: &[&str]) -> Option<Self> {
        match rest {
            [] => Some(Self::Collection(target)),
            [name] => Some(Self::Object(target, (*name).to_owned())),
            [name, subresource] => Some(Self::Subresource(target, (*name).to_owned(), (*subresource).to_owned())),
            _ => None,
        }
    }
}

/// A decoded part of a path. `None` for one that would lead elsewhere in a path of keys.
fn segment(text: &str) -> Option<String> {
    let decoded = percent_decoded(text)?;
    let leads_elsewhere = decoded.is_empty() || decoded == "." || decoded == ".." || decoded.contains(['/', '%']);
    (!leads_elsewhere).then_some(decoded)
}

/// `None` for text that is not percent-encoded UTF-8.
fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secrets(namespace: Option<&str>) -> Target {
        Target { resource: Resource::Secrets, namespace: namespace.map(str::to_owned) }
    }

    #[test]
    fn paths_of_the_api() {
        let namespaces = Target { resource: Resource::Namespaces, namespace: None };
        for (path, meaning) in [
            ("secrets", Some(Path::Collection(secrets(None)))),
            ("namespaces/a/secrets", Some(Path::Collection(secrets(Some("a"))))),
            ("namespaces/a/secrets/b", Some(Path::Object(secrets(Some("a")), "b".into()))),
            ("namespaces", Some(Path::Collection(namespaces.clone()))),
            ("namespaces/a", Some(Path::Object(namespaces.clone(), "a".into()))),
            ("namespaces/a/status", Some(Path::Subresource(namespaces, "a".into(), "status".into()))),
            ("namespaces/a/secrets/b%2Fc", None),
            ("namespaces/a/secrets/b%2", None),
            ("namespaces/a%2Fb/secrets", None),
            ("namespaces/%2e%2e/secrets/b", None),
            ("namespaces//secrets", None),
            ("namespaces/a/pods/b", None),
            ("pods", None),
            ("secrets/b", None),
            ("", None),
        ] {
            assert_eq!(Path::parse(path), meaning, "{path}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(path in ".{0,40}") {
            let _ = Path::parse(&path);
        }
    }
}
