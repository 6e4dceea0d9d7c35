//! Label selectors: `app=web,tier in (a,b),!old`.
//!
//! Imitates `apimachinery/pkg/labels/selector.go`: its grammar, and its texts as far as a user meets them.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::validation::name;

/// Requirements that all have to hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Operator {
    Exists,
    GreaterThan(i64),
    In(Vec<String>),
    LessThan(i64),
    Missing,
    NotIn(Vec<String>),
}

impl LabelSelector {
    /// Reads a selector; the empty text selects everything.
    ///
    /// # Errors
    ///
    /// [`LabelSelectorError`], whose text is the message of upstream's 400.
    pub(crate) fn parse(text: &str) -> Result<Self, LabelSelectorError> {
        let mut parser = Parser { tokens: tokens(text), next: 0 };
        let mut requirements = Vec::new();
        if parser.peek() == &Token::End {
            return Ok(Self { requirements });
        }
        loop {
            requirements.push(parser.requirement().map_err(LabelSelectorError::Requirement)?);
            match parser.take() {
                Token::End => return Ok(Self { requirements }),
                Token::Comma => match parser.peek() {
                    Token::Word(_) | Token::Not => {}
                    other => {
                        return Err(LabelSelectorError::AfterComma { found: other.text() });
                    }
                },
                other => return Err(LabelSelectorError::AfterRequirement { found: other.text() }),
            }
        }
    }

    /// Whether every object is selected.
    pub(crate) const fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Whether an object with these labels is selected.
    pub(crate) fn matches(&self, labels: Option<&BTreeMap<String, String>>) -> bool {
        self.requirements.iter().all(|requirement| {
            let value = labels.and_then(|labels| labels.get(&requirement.key));
            requirement.operator.matches(value.map(String::as_str))
        })
    }
}

impl Operator {
    fn matches(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match self {
            Self::Exists => value.is_some(),
            Self::GreaterThan(bound) => number().is_some_and(|number| number > *bound),
            Self::In(values) => value.is_some_and(|value| values.iter().any(|other| other == value)),
            Self::LessThan(bound) => number().is_some_and(|number| number < *bound),
            Self::Missing => value.is_none(),
            Self::NotIn(values) => value.is_none_or(|value| !values.iter().any(|other| other == value)),
        }
    }
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Token {
    Close,
    Comma,
    DoubleEquals,
    End,
    Equals,
    GreaterThan,
    LessThan,
    Not,
    NotEquals,
    Open,
    Word(String),
}

impl Token {
    fn text(&self) -> String {
        match self {
            Self::Close => ")",
            Self::Comma => ",",
            Self::DoubleEquals => "==",
            Self::End => "",
            Self::Equals => "=",
            Self::GreaterThan => ">",
            Self::LessThan => "<",
            Self::Not => "!",
            Self::NotEquals => "!=",
            Self::Open => "(",
            Self::Word(word) => word,
        }
        .to_owned()
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(first) = chars.next() {
        let token = match first {
            space if space.is_ascii_whitespace() => continue,
            ')' => Token::Close,
            ',' => Token::Comma,
            '(' => Token::Open,
            '>' => Token::GreaterThan,
            '<' => Token::LessThan,
            '=' if chars.next_if_eq(&'=').is_some() => Token::DoubleEquals,
            '=' => Token::Equals,
            '!' if chars.next_if_eq(&'=').is_some() => Token::NotEquals,
            '!' => Token::Not,
            other => {
                let mut word = String::from(other);
                while let Some(more) = chars.next_if(|next| !next.is_ascii_whitespace() && !"(),<>=!".contains(*next)) {
                    word.push(more);
                }
                Token::Word(word)
            }
        };
        tokens.push(token);
    }
    tokens
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).unwrap_or(&Token::End)
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next = self.next.saturating_add(1);
        token
    }

    fn requirement(&mut self) -> Result<Requirement, RequirementError> {
        if self.peek() == &Token::Not {
            self.take();
            let key = self.key()?;
            return Ok(Requirement { key, operator: Operator::Missing });
        }
        let key = self.key()?;
        let operator = match self.peek().clone() {
            Token::Comma | Token::End => Operator::Exists,
            Token::Equals | Token::DoubleEquals => {
                self.take();
                Operator::In(vec![self.value(&key)?])
            }
            Token::NotEquals => {
                self.take();
                Operator::NotIn(vec![self.value(&key)?])
            }
            Token::GreaterThan => {
                self.take();
                Operator::GreaterThan(self.number()?)
            }
            Token::LessThan => {
                self.take();
                Operator::LessThan(self.number()?)
            }
            Token::Word(word) if word == "in" => {
                self.take();
                Operator::In(self.values(&key)?)
            }
            Token::Word(word) if word == "notin" => {
                self.take();
                Operator::NotIn(self.values(&key)?)
            }
            other => {
                return Err(RequirementError::Operator { found: other.text() });
            }
        };
        Ok(Requirement { key, operator })
    }

    fn key(&mut self) -> Result<String, RequirementError> {
        let Token::Word(key) = self.take() else {
            return Err(RequirementError::Key { found: self.previous() });
        };
        match name::qualified_name(&key).into_iter().next() {
            Some(text) => Err(RequirementError::InvalidKey { key, text }),
            None => Ok(key),
        }
    }

    fn value(&mut self, key: &str) -> Result<String, RequirementError> {
        let value = match self.peek().clone() {
            Token::Comma | Token::End => String::new(),
            Token::Word(word) => {
                self.take();
                word
            }
            other => return Err(RequirementError::Value { found: other.text() }),
        };
        check_value(key, value)
    }

    fn values(&mut self, key: &str) -> Result<Vec<String>, RequirementError> {
        if self.peek() != &Token::Open {
            return Err(RequirementError::Open { found: self.peek().text() });
        }
        self.take();
        let mut values = Vec::new();
        loop {
            values.push(match self.peek().clone() {
                Token::Word(word) => {
                    self.take();
                    check_value(key, word)?
                }
                Token::Comma | Token::Close => String::new(),
                other => return Err(RequirementError::Values { found: other.text() }),
            });
            match self.take() {
                Token::Comma => {}
                Token::Close => return Ok(values),
                other => return Err(RequirementError::Values { found: other.text() }),
            }
        }
    }

    fn number(&mut self) -> Result<i64, RequirementError> {
        match self.take() {
            Token::Word(word) => word.parse().map_err(|_| RequirementError::Number { found: word }),
            other => Err(RequirementError::Number { found: other.text() }),
        }
    }

    fn previous(&self) -> String {
        let token = self.next.checked_sub(1).and_then(|index| self.tokens.get(index));
        token.map(Token::text).unwrap_or_default()
    }
}

fn check_value(key: &str, value: String) -> Result<String, RequirementError> {
    match name::label_value(&value).into_iter().next() {
        Some(text) => Err(RequirementError::InvalidValue { key: key.to_owned(), value, text }),
        None => Ok(value),
    }
}

/// A label selector that is none. The text is the message of upstream's 400.
#[derive(Debug, Eq, Error, PartialEq)]
pub(crate) enum LabelSelectorError {
    #[error("found '{found}', expected: identifier after ','")]
    AfterComma { found: String },
    #[error("found '{found}', expected: ',' or 'end of string'")]
    AfterRequirement { found: String },
    #[error("unable to parse requirement: {0}")]
    Requirement(RequirementError),
}

/// One requirement is none.
#[derive(Debug, Eq, Error, PartialEq)]
pub(crate) enum RequirementError {
    #[error("<nil>: Invalid value: {key:?}: {text}")]
    InvalidKey { key: String, text: String },
    #[error("values[0][{key}]: Invalid value: {value:?}: {text}")]
    InvalidValue { key: String, value: String, text: String },
    #[error("found '{found}', expected: !, identifier, or 'end of string'")]
    Key { found: String },
    #[error("values[0]: Invalid value: {found:?}: for 'Gt', 'Lt' operators, the value must be an integer")]
    Number { found: String },
    #[error("found '{found}' expected: '('")]
    Open { found: String },
    #[error("found '{found}', expected: in, notin, =, ==, !=, gt, lt")]
    Operator { found: String },
    #[error("found '{found}', expected: identifier")]
    Value { found: String },
    #[error("found '{found}', expected: ',', ')' or identifier")]
    Values { found: String },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn selects_as_upstream() {
        let object = labels(&[("app", "web"), ("tier", "2"), ("empty", "")]);
        for selected in [
            "",
            "app",
            "app=web",
            "app == web",
            "app!=db",
            "other!=db",
            "!other",
            "app in (db, web)",
            "empty=",
            "app notin (db)",
            "tier>1",
            "tier<3",
            "app=web,tier=2",
            "empty in (,a)",
            " app ",
        ] {
            assert!(LabelSelector::parse(selected).unwrap().matches(Some(&object)), "{selected}");
        }
        for left_out in ["other", "app=db", "!app", "app notin (web)", "tier>2", "app<3", "app=web,other", "empty"] {
            let matches = LabelSelector::parse(left_out).unwrap().matches(Some(&object));
            assert_eq!(matches, left_out == "empty", "{left_out}");
        }
    }

    #[test]
    fn refuses_with_a_reason() {
        let error = |text: &str| LabelSelector::parse(text).unwrap_err().to_string();
        insta::assert_snapshot!(error("app=web,"), @"found '', expected: identifier after ','");
        insta::assert_snapshot!(error("a b"), @"unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt");
        insta::assert_snapshot!(error("a in b"), @"unable to parse requirement: found 'b' expected: '('");
        insta::assert_snapshot!(error("=a"), @"unable to parse requirement: found '=', expected: !, identifier, or 'end of string'");
        insta::assert_snapshot!(error("a>b"), @r#"unable to parse requirement: values[0]: Invalid value: "b": for 'Gt', 'Lt' operators, the value must be an integer"#);
        assert!(error("a=b_").contains("a valid label must be an empty string"));
    }

    proptest! {
        #[test]
        fn never_panics(text in r"[a-z=!,()<> \./]{0,24}", value in "[a-z]{0,2}") {
            if let Ok(selector) = LabelSelector::parse(&text) {
                selector.matches(Some(&labels(&[("a", &value)])));
                selector.matches(None);
            }
        }

        #[test]
        fn never_panics_on_any_text(text in ".{0,24}") {
            let _ = LabelSelector::parse(&text);
        }
    }
}
