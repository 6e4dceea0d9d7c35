//! From the text of a file to a checked value that still knows where each of its parts stands.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::problem::{LoadError, Problem, Source};
use super::schema::Schema;
use super::tree::{Places, Tree};

/// A value read from a file, with the place of each of its nodes.
#[derive(Debug)]
pub struct Document<T> {
    value: T,
    source: Source,
    places: Places,
}

/// Reads `text` (YAML, hence also JSON) as a `T`. `name` is what reports call the file, usually its path.
///
/// # Errors
///
/// [`LoadError`] with every problem that can be seen: a syntax error alone (nothing after it can be trusted), else all
/// duplicate keys, schema violations and values that `T` refuses.
pub fn load<T: DeserializeOwned + JsonSchema>(name: &str, text: &str) -> Result<Document<T>, LoadError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let source = Source::new(name, text);
    let Tree { value, places, mut problems, whole } = Tree::parse(&source);
    if whole {
        problems.extend(Schema::of::<T>().problems(&value, &places, &source));
    }
    if !problems.is_empty() {
        return Err(LoadError::new(source, problems));
    }
    match serde_path_to_error::deserialize(value) {
        Ok(value) => Ok(Document { value, source, places }),
        Err(refused) => {
            let pointer = pointer_of(refused.path());
            let problem = Problem::at_value(&source, &places, &pointer, refused.inner().to_string());
            Err(LoadError::new(source, vec![problem]))
        }
    }
}

/// The JSON schema of `T` as it is checked in under `schemas/`: indented, with a final line break.
pub fn schema_text<T: JsonSchema>() -> String {
    Schema::of::<T>().text()
}

impl<T> Document<T> {
    /// What the file says.
    pub fn value(&self) -> &T {
        &self.value
    }

    /// What the file says, without the places.
    pub fn into_value(self) -> T {
        self.value
    }

    /// The name by which reports call the file.
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// A problem with the node at `pointer` (a JSON pointer, `/steps/2/expect`) that no schema can express. A node that
    /// the file does not have is reported at the nearest one around it.
    pub fn problem(&self, pointer: &str, message: impl Into<String>) -> Problem {
        Problem::at_value(&self.source, &self.places, pointer, message.into())
    }

    /// Line and column of the node at `pointer`, both from 1; the nearest node around it if the file has none there.
    pub fn position(&self, pointer: &str) -> (usize, usize) {
        self.source.position(self.places.value(pointer).start)
    }

    /// The document if `problems` is empty.
    ///
    /// # Errors
    ///
    /// [`LoadError`] with the given problems otherwise, in the order of the file.
    pub fn reject(self, problems: Vec<Problem>) -> Result<Self, LoadError> {
        if problems.is_empty() { Ok(self) } else { Err(LoadError::new(self.source, problems)) }
    }
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;

    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => super::tree::push_segment(&mut pointer, &index.to_string()),
            Segment::Map { key } | Segment::Enum { variant: key } => super::tree::push_segment(&mut pointer, key),
            Segment::Unknown => {}
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU8;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    struct Fixture {
        /// How many etcd members.
        members: NonZeroU8,
        mode: Mode,
        #[serde(default)]
        steps: Vec<Step>,
        at: Option<Moment>,
    }

    #[derive(Debug, Deserialize, Eq, JsonSchema, PartialEq)]
    #[serde(rename_all = "kebab-case")]
    enum Mode {
        Container,
        Process,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields, rename_all = "kebab-case")]
    enum Step {
        Create(Named),
        Read(Named),
        Restart,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Named {
        name: String,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(try_from = "String")]
    #[schemars(with = "String")]
    struct Moment;

    impl TryFrom<String> for Moment {
        type Error = String;

        fn try_from(text: String) -> Result<Self, String> {
            if text == "noon" { Ok(Self) } else { Err(format!("{text} is no moment")) }
        }
    }

    fn report(text: &str) -> String {
        load::<Fixture>("story.yaml", text).unwrap_err().plain()
    }

    #[test]
    fn a_good_file_is_read() {
        let text = "members: 3\nmode: process\nsteps:\n  - create: {name: a}\n  - read: {name: a}\n  - restart\n";
        let document = load::<Fixture>("story.yaml", text).unwrap();
        assert_eq!(document.value().members.get(), 3);
        assert_eq!(document.value().mode, Mode::Process);
        assert!(
            matches!(&document.value().steps[..], [Step::Create(made), Step::Read(read), Step::Restart] if made.name == read.name)
        );
        assert!(document.value().at.is_none());
        assert_eq!(document.position("/steps/0/create/name"), (4, 20));
    }

    #[test]
    fn every_problem_is_reported_with_its_place() {
        let text = "\
members: 0
mode: docker
mode: process
steps:
  - create: {nam: a}
  - delete: {name: a}
  - read: {name: [1]}
colour: red
";
        insta::assert_snapshot!(report(text));
    }

    #[test]
    fn a_missing_key_is_reported_at_its_mapping() {
        insta::assert_snapshot!(report("steps: []\n"));
    }

    #[test]
    fn a_syntax_error_is_reported_alone() {
        insta::assert_snapshot!(report("members: 1\nmode: [process\nsteps: []\n"));
    }

    #[test]
    fn a_value_that_the_type_refuses_has_its_place() {
        insta::assert_snapshot!(report("members: 1\nmode: process\nat: dawn\n"));
    }

    #[test]
    fn places_count_characters_and_survive_other_scripts() {
        let error = load::<Fixture>("story.yaml", "# Größe ✓\nmembers: 1\nmode: 'ä'\n").unwrap_err();
        let [problem] = error.problems() else { panic!("one problem: {error:?}") };
        assert_eq!((problem.line(), problem.column()), (3, 7));
    }

    #[test]
    fn an_owner_adds_problems_of_its_own() {
        let document = load::<Fixture>("story.yaml", "members: 1\nmode: process\n").unwrap();
        let problem = document.problem("/steps/4", "no such step");
        let error = document.reject(vec![problem]).unwrap_err();
        assert_eq!(error.problems()[0].pointer(), "/steps/4");
        assert_eq!(error.to_string(), "story.yaml has 1 problem");
    }

    #[test]
    fn hostile_texts_are_refused_without_harm() {
        let deep = "[".repeat(100_000);
        let nested = format!("steps: {}", "{a: ".repeat(5_000));
        let laughs = "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n";
        for text in [
            "",
            "~",
            "- 1",
            "? [a]\n: b",
            "--- 1\n--- 2",
            "a: !!int x",
            "a: .nan",
            &deep,
            &nested,
            laughs,
            "\t",
            "%YAML 9",
        ] {
            assert!(load::<Fixture>("story.yaml", text).is_err(), "{text:.20}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[-\\[\\]{}:,&*!|>'\"%@#? \ta-c0-9ä\n]{0,60}") {
            let _ = load::<Fixture>("story.yaml", &text);
        }
    }
}
