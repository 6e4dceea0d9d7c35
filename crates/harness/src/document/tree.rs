//! YAML text to a JSON value and the place of each of its nodes.
//!
//! Differs: anchors, aliases and tags of one's own are refused, and a file holds one document. A story is read by
//! people first; what it says stands where it is read.

use std::collections::BTreeMap;
use std::ops::Range;

use saphyr::Scalar;
use saphyr_parser::{Event, Parser, Span};
use serde_json::{Map, Number, Value};

use super::problem::{Problem, Source};

/// A parsed file.
pub(super) struct Tree {
    pub(super) value: Value,
    pub(super) places: Places,
    pub(super) problems: Vec<Problem>,
    /// False if a problem hides the rest of the file, so that `value` says nothing about what is missing.
    pub(super) whole: bool,
}

impl Tree {
    pub(super) fn parse(source: &Source) -> Self {
        let mut builder = Builder::new(source);
        let mut whole = true;
        // Events and not the parser's own `load`: that one recurses, so the depth of a file would be the depth of the
        // stack.
        for event in Parser::new_from_str(source.text()) {
            let step = match event {
                Ok((event, span)) => builder.take(event, span),
                Err(error) => {
                    let at = source.byte_of(error.marker().index());
                    Err(Problem::at(source, at..at, "", format!("not YAML: {}", error.info())))
                }
            };
            if let Err(fatal) = step {
                builder.problems.push(fatal);
                whole = false;
                break;
            }
        }
        let value = builder.root.unwrap_or(Value::Null);
        Self { value, places: builder.places, problems: builder.problems, whole }
    }
}

/// Where each node of a file stands, by JSON pointer.
#[derive(Debug, Default)]
pub(super) struct Places {
    by_pointer: BTreeMap<String, Place>,
}

#[derive(Clone, Debug)]
struct Place {
    key: Option<Range<usize>>,
    value: Range<usize>,
}

impl Places {
    /// The bytes of the node at `pointer`, or of the nearest node around it.
    pub(super) fn value(&self, pointer: &str) -> Range<usize> {
        self.nearest(pointer).map_or(0..0, |place| place.value.clone())
    }

    /// The bytes of the key of the node at `pointer`; of the node itself where it has no key, as in a list.
    pub(super) fn key(&self, pointer: &str) -> Range<usize> {
        self.nearest(pointer).map_or(0..0, |place| place.key.clone().unwrap_or_else(|| place.value.clone()))
    }

    fn nearest(&self, pointer: &str) -> Option<&Place> {
        let mut pointer = pointer;
        loop {
            if let Some(place) = self.by_pointer.get(pointer) {
                return Some(place);
            }
            pointer = pointer.get(..pointer.rfind('/')?)?;
        }
    }
}

/// Adds one segment to a JSON pointer (RFC 6901).
pub(super) fn push_segment(pointer: &mut String, segment: &str) {
    pointer.push('/');
    pointer.push_str(&segment.replace('~', "~0").replace('/', "~1"));
}

struct Builder<'a> {
    source: &'a Source,
    stack: Vec<Frame>,
    root: Option<Value>,
    places: Places,
    problems: Vec<Problem>,
}

/// A list or mapping that is not complete yet.
struct Frame {
    pointer: String,
    start: usize,
    contents: Contents,
}

enum Contents {
    Mapping { entries: Map<String, Value>, key: Option<(String, Range<usize>)> },
    Sequence(Vec<Value>),
}

impl<'a> Builder<'a> {
    fn new(source: &'a Source) -> Self {
        Self { source, stack: Vec::new(), root: None, places: Places::default(), problems: Vec::new() }
    }

    /// `Err` is a problem after which the rest of the file cannot be trusted.
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let range = self.source.byte_of(span.start.index())..self.source.byte_of(span.end.index());
        let fatal = |message: &str| Err(Problem::at(self.source, range.clone(), &self.pointer(), message.to_owned()));
        match event {
            Event::DocumentStart(_) if self.root.is_some() => fatal("a second document: a file holds one"),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {
                Ok(())
            }
            Event::Alias(_) => fatal("an alias: write the value out where it is used"),
            Event::Scalar(_, _, anchor, _) | Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _)
                if anchor != 0 =>
            {
                fatal("an anchor: aliases are not supported, write the value out where it is used")
            }
            Event::Scalar(_, _, _, Some(tag))
            | Event::SequenceStart(_, Some(tag))
            | Event::MappingStart(_, Some(tag))
                if !tag.is_yaml_core_schema() =>
            {
                fatal("a tag: only YAML's own (`!!str`, `!!int`, ...) are known")
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if self.expects_key() => {
                fatal("a key that is a list or a mapping: a key is plain text")
            }
            Event::SequenceStart(..) | Event::MappingStart(..) if self.stack.len() >= MAX_DEPTH => {
                fatal(&format!("nested deeper than {MAX_DEPTH} levels"))
            }
            Event::SequenceStart(..) => {
                self.open(range.start, Contents::Sequence(Vec::new()));
                Ok(())
            }
            Event::MappingStart(..) => {
                self.open(range.start, Contents::Mapping { entries: Map::new(), key: None });
                Ok(())
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.close(range.end);
                Ok(())
            }
            Event::Scalar(text, ..) if self.expects_key() => {
                self.key(text.into_owned(), range);
                Ok(())
            }
            Event::Scalar(text, style, _, tag) => {
                let value = Scalar::parse_from_cow_and_metadata(text, style, tag.as_ref()).and_then(json);
                let value = value.unwrap_or_else(|| {
                    let message = "a value that its tag or JSON's numbers cannot hold".to_owned();
                    self.problems.push(Problem::at(self.source, range.clone(), &self.pointer(), message));
                    Value::Null
                });
                self.place(range);
                self.put(value);
                Ok(())
            }
        }
    }

    fn expects_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame { contents: Contents::Mapping { key: None, .. }, .. }))
    }

    /// JSON pointer of the node that comes next.
    fn pointer(&self) -> String {
        let Some(frame) = self.stack.last() else { return String::new() };
        let mut pointer = frame.pointer.clone();
        match &frame.contents {
            Contents::Mapping { key: Some((key, _)), .. } => push_segment(&mut pointer, key),
            Contents::Mapping { key: None, .. } => {}
            Contents::Sequence(items) => push_segment(&mut pointer, &items.len().to_string()),
        }
        pointer
    }

    fn open(&mut self, start: usize, contents: Contents) {
        let pointer = self.pointer();
        self.place(start..start);
        self.stack.push(Frame { pointer, start, contents });
    }

    fn close(&mut self, end: usize) {
        let Some(Frame { pointer, start, contents }) = self.stack.pop() else { return };
        if let Some(place) = self.places.by_pointer.get_mut(&pointer) {
            place.value = start..end.max(start);
        }
        self.put(match contents {
            Contents::Mapping { entries, .. } => Value::Object(entries),
            Contents::Sequence(items) => Value::Array(items),
        });
    }

    fn key(&mut self, text: String, range: Range<usize>) {
        let pointer = self.pointer();
        let Some(Frame { contents: Contents::Mapping { entries, key }, .. }) = self.stack.last_mut() else { return };
        if entries.contains_key(&text) {
            let mut of_key = pointer;
            push_segment(&mut of_key, &text);
            let (line, _) = self.source.position(self.places.key(&of_key).start);
            let message = format!("key `{text}` stands twice, first in line {line}");
            self.problems.push(Problem::at(self.source, range.clone(), &of_key, message));
        }
        *key = Some((text, range));
    }

    /// Notes where the next node stands.
    fn place(&mut self, value: Range<usize>) {
        let key = match self.stack.last() {
            Some(Frame { contents: Contents::Mapping { key: Some((_, range)), .. }, .. }) => Some(range.clone()),
            _ => None,
        };
        self.places.by_pointer.insert(self.pointer(), Place { key, value });
    }

    fn put(&mut self, value: Value) {
        match self.stack.last_mut().map(|frame| &mut frame.contents) {
            None => self.root = Some(value),
            Some(Contents::Sequence(items)) => items.push(value),
            Some(Contents::Mapping { entries, key }) => {
                if let Some((key, _)) = key.take() {
                    entries.insert(key, value);
                }
            }
        }
    }
}

/// `None` for a number that JSON cannot hold.
fn json(scalar: Scalar<'_>) -> Option<Value> {
    Some(match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(value) => Value::Bool(value),
        Scalar::Integer(value) => Value::Number(value.into()),
        Scalar::FloatingPoint(value) => Value::Number(Number::from_f64(value.into_inner())?),
        Scalar::String(value) => Value::String(value.into_owned()),
    })
}

/// Nothing that a stack or a story says is deeper than ten; values this deep are dropped without harm to the stack.
const MAX_DEPTH: usize = 64;
