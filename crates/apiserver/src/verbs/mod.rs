//! What each verb does to objects.

mod apply;
mod create;
mod delete;
mod patch;
mod prepare;
mod read;
mod update;
mod watch;

pub(crate) use create::create;
pub(crate) use delete::{Removed, check_preconditions, delete, delete_collection, remove};
pub(crate) use patch::patch;
pub(crate) use read::{get, list};
pub(crate) use update::update;
pub(crate) use watch::{WatchEvents, watch};
