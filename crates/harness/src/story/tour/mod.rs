//! The tour: one narrated demonstration of create, read, rotate and lose the key, for somebody who sees all this for the
//! first time.
//!
//! It is a story like any other, told in full: `tour.yaml` here, which the runner replays on a real stack. The narration
//! stands in the file beside the step it belongs to, so that what is said and what is done cannot drift apart. It is not
//! among the stories of `scenarios/`, as it proves nothing that they do not prove.

use std::path::Path;

use crate::document::LoadError;
use crate::story::scenario::{Scenario, load_text};

/// The tour's story.
///
/// # Errors
///
/// [`LoadError`] if the file in this crate is no good story, which a test excludes.
pub fn scenario() -> Result<Scenario, LoadError> {
    load_text(Path::new("tour.yaml"), TOUR)
}

const TOUR: &str = include_str!("tour.yaml");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tour_is_a_good_story() {
        let tour = scenario().unwrap_or_else(|error| panic!("{}", error.plain()));
        assert!(tour.steps.iter().filter(|step| step.chapter.is_some()).count() >= 4);
    }

    #[test]
    fn the_tour_says_that_it_protects_nothing() {
        let tour = scenario().unwrap();
        assert!(tour.steps[0].say.as_ref().unwrap().contains("protects nothing real"));
    }
}
