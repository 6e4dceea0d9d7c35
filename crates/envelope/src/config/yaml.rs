//! YAML with places: strict decoding of maps, lists, strings and integers that goes on after a problem.
//!
//! kube-apiserver reads the file as YAML, turns it into JSON and decodes that strictly: unknown and doubled fields are
//! errors, a field that is `null` is one that is not there. Differs: plain words such as `yes` and `n` are booleans to
//! upstream's YAML 1.1 and so refused as names; here, in YAML 1.2, they are the strings they look like. Differs: upstream stops at the first such error and knows no
//! line; here all are collected, with their places.

use saphyr::{LoadableYamlNode as _, MarkedYaml, Marker, Scalar, YamlData, YamlLoader};
use saphyr_parser::{Event, Parser};

use super::problem::Problems;

/// Where a field stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// `resources[0].providers`.
    pub(super) path: String,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl Place {
    /// A field of this one, at the same spot until its own is known.
    pub(super) fn child(&self, name: &str) -> Self {
        let separator = if self.path.is_empty() { "" } else { "." };
        Self { path: format!("{}{separator}{name}", self.path), ..*self }
    }

    fn index(&self, index: usize) -> Self {
        Self { path: format!("{}[{index}]", self.path), ..*self }
    }

    fn at(&self, marker: Marker) -> Self {
        Self { path: self.path.clone(), line: marker.line(), column: marker.col() + 1 }
    }
}

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

/// A node of the file and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node<'y>(&'y MarkedYaml<'y>);

/// The one document of `text`, handed to `read`; `None` if there is none to read.
pub(super) fn read_document<T>(
    text: &str,
    problems: &mut Problems,
    read: impl FnOnce(Node<'_>, &mut Problems) -> Option<T>,
) -> Option<T> {
    check_structure(text, problems)?;
    let mut loader = YamlLoader::<MarkedYaml<'_>>::default();
    // A doubled field does not keep the rest of the file from being read.
    loader.allow_duplicate_keys(true);
    let outcome = Parser::new_from_str(text).load(&mut loader, true);
    if let Some(error) = outcome.err().or_else(|| loader.error().cloned()) {
        problems.add(&Place::default().at(*error.marker()), error.info());
        return None;
    }
    if let Err(error) = MarkedYaml::load_from_str(text) {
        problems.add(&Place::default().at(*error.marker()), error.info());
    }
    match loader.into_documents().as_slice() {
        [] => {
            problems.add(&Place { line: 1, column: 1, ..Place::default() }, "the file holds no document");
            None
        }
        [document] => read(Node(document), problems),
        [_, second, ..] => {
            problems.add(&Place::default().at(second.span.start), "the file must hold one document, this is another");
            None
        }
    }
}

/// Refuses what the loader, which recurses, should not be given: bad syntax and very deep nesting.
fn check_structure(text: &str, problems: &mut Problems) -> Option<()> {
    let mut depth = 0_usize;
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                problems.add(&Place::default().at(*error.marker()), error.info());
                return None;
            }
        };
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => depth += 1,
            Event::MappingEnd | Event::SequenceEnd => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > MAX_DEPTH {
            problems.add(&Place::default().at(span.start), format!("nested deeper than {MAX_DEPTH} levels"));
            return None;
        }
    }
    Some(())
}

impl<'y> Node<'y> {
    pub(super) fn place(self, path: &Place) -> Place {
        path.at(self.0.span.start)
    }

    pub(super) fn is_null(self) -> bool {
        matches!(self.0.data, YamlData::Value(Scalar::Null) | YamlData::BadValue)
    }

    /// The fields of a map; those not among `known` are problems. `None` if this is no map.
    pub(super) fn fields(self, place: &Place, known: &[&str], problems: &mut Problems) -> Option<Fields<'y>> {
        let YamlData::Mapping(map) = &self.0.data else { return self.not("a map of fields", place, problems) };
        let mut fields = Vec::new();
        for (key, value) in map {
            let YamlData::Value(Scalar::String(name)) = &key.data else {
                problems.add(
                    &place.at(key.span.start),
                    format!("expected the name of a field, found {}", Node(key).kind()),
                );
                continue;
            };
            let at = place.child(name).at(key.span.start);
            if known.contains(&name.as_ref()) {
                fields.push((name.as_ref(), Self(value)));
            } else {
                problems.add(&at, format!("unknown field, expected one of: {}", known.join(", ")));
            }
        }
        Some(Fields { place: place.clone(), fields })
    }

    /// The items of a list. `None` if this is no list.
    pub(super) fn items(self, place: &Place, problems: &mut Problems) -> Option<Vec<At<Self>>> {
        let YamlData::Sequence(items) = &self.0.data else { return self.not("a list", place, problems) };
        let item = |(index, item)| At { place: Self(item).place(&place.index(index)), value: Self(item) };
        Some(items.iter().enumerate().map(item).collect())
    }

    pub(super) fn string(self, place: &Place, problems: &mut Problems) -> Option<String> {
        let YamlData::Value(Scalar::String(text)) = &self.0.data else { return self.not("a string", place, problems) };
        Some(text.clone().into_owned())
    }

    pub(super) fn integer(self, place: &Place, problems: &mut Problems) -> Option<i64> {
        let YamlData::Value(Scalar::Integer(number)) = &self.0.data else {
            return self.not("an integer", place, problems);
        };
        Some(*number)
    }

    fn not<T>(self, wanted: &str, place: &Place, problems: &mut Problems) -> Option<T> {
        problems.add(place, format!("expected {wanted}, found {}", self.kind()));
        None
    }

    fn kind(self) -> &'static str {
        match &self.0.data {
            YamlData::Mapping(_) => "a map",
            YamlData::Sequence(_) => "a list",
            YamlData::Value(Scalar::Boolean(_)) => "a boolean",
            YamlData::Value(Scalar::FloatingPoint(_) | Scalar::Integer(_)) => "a number",
            YamlData::Value(Scalar::Null) => "null",
            YamlData::Value(Scalar::String(_)) | YamlData::Representation(..) => "a string",
            YamlData::Tagged(..) => "a tagged value",
            YamlData::Alias(_) | YamlData::BadValue => "nothing",
        }
    }
}

/// The known fields of a map.
#[derive(Debug)]
pub(super) struct Fields<'y> {
    place: Place,
    fields: Vec<(&'y str, Node<'y>)>,
}

impl<'y> Fields<'y> {
    /// A field that is there and not `null`.
    pub(super) fn get(&self, name: &str) -> Option<At<Node<'y>>> {
        let (_, node) = self.fields.iter().find(|(field, node)| *field == name && !node.is_null())?;
        Some(At { value: *node, place: node.place(&self.place.child(name)) })
    }

    /// Where a field stands, or would.
    pub(super) fn place_of(&self, name: &str) -> Place {
        self.get(name).map_or_else(|| self.place.child(name), |field| field.place)
    }

    /// A string field: empty if it is not there, `None` if it is something else, which is a problem.
    pub(super) fn string(&self, name: &str, problems: &mut Problems) -> At<Option<String>> {
        let value = match self.get(name) {
            Some(field) => field.value.string(&field.place, problems),
            None => Some(String::new()),
        };
        At { value, place: self.place_of(name) }
    }

    /// The items of a list field; none if it is not there. An empty list is a problem, unless another has been told.
    pub(super) fn items(&self, name: &str, problems: &mut Problems) -> At<Vec<At<Node<'y>>>> {
        let place = self.place_of(name);
        let items = match self.get(name) {
            Some(field) => field.value.items(&field.place, problems),
            None => Some(Vec::new()),
        };
        if items.as_ref().is_some_and(Vec::is_empty) {
            problems.required(&place, &format!("at least one {} is required", place.path));
        }
        At { value: items.unwrap_or_default(), place }
    }
}

/// Deeper than any configuration, and far from the end of the stack.
const MAX_DEPTH: usize = 64;
