//! Prose in lines of at most so many columns.

/// The words of `text` in lines of at most `width` characters, each after `indent`. Paragraphs are separated by an
/// empty line; a word longer than a line has a line of its own.
pub(crate) fn wrapped(text: &str, indent: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()) {
        if !lines.is_empty() {
            lines.push(String::new());
        }
        let mut line = String::from(indent);
        let mut empty = true;
        for word in paragraph.split_whitespace() {
            if !empty && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::replace(&mut line, indent.to_owned()));
                empty = true;
            }
            if !empty {
                line.push(' ');
            }
            line.push_str(word);
            empty = false;
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn prose_is_broken_between_words() {
        let text = "a seed is sealed\nonce\n\nthen  every write derives-its-own-key-from-it";
        let lines = wrapped(text, "  ", 14);
        assert_eq!(
            lines,
            ["  a seed is", "  sealed once", "", "  then every", "  write", "  derives-its-own-key-from-it"]
        );
    }

    proptest! {
        #[test]
        fn no_word_is_lost_and_no_line_too_long(text in "([a-zä]{1,9}[ \n]{1,3}){0,40}", width in 12_usize..60) {
            let lines = wrapped(&text, " ", width);
            prop_assert!(lines.iter().all(|line| line.chars().count() <= width));
            let words: Vec<_> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
            prop_assert_eq!(words, text.split_whitespace().collect::<Vec<_>>());
        }
    }
}
