//! Replays stories on stacks of their own and emits what happens.
//!
//! A step that does not end as expected is a result. Only what makes a run impossible is an error: a stack that does not
//! start, an etcd that goes away under a story.

mod act;
mod evidence;
mod judge;
mod lab;
mod pace;
mod run;
mod sight;
mod story;

pub use pace::{Gate, GateKey};
pub use run::{Kept, Options, RunError, Summary, run};
pub(crate) use sight::kms_v2_record;
