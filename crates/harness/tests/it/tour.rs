//! The tour on a real stack: its transcript is the snapshot that newcomers see in the README.

use harness::story::event::Events;
use harness::story::report::Depth;
use harness::story::runner::run;
use harness::story::tour;

use crate::redactor::Redactor;
use crate::runs::{Place, rest, transcript};

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_is_told_to_its_end() {
    let place = Place::new();
    let (events, stream) = Events::new();
    let summary = run(&[tour::scenario().unwrap()], place.options(), events).await.unwrap();
    let text = transcript(Depth::Told, &rest(stream).await);
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "wider than 100 columns: {line}");
    }
    Redactor::new().assert("tour", &text);
    assert_eq!(summary.passed, 1);
}
