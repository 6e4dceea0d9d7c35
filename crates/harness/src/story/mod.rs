//! Stories: scenario files, the runner that replays them on a stack, the ordered stream of events that comes of it, and
//! its readers.
//!
//! Nothing in here prints. A run emits [`event::Event`]s; the terminal transcript, `JUnit` and JSON are readers of that
//! one stream.

pub mod event;
pub mod inspect;
pub mod report;
pub mod runner;
pub mod scenario;
pub mod tour;
mod wire;

pub use wire::WireError;
