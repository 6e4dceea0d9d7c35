//! Assembles a stack of Kyanite's parts, runs scenarios against it and emits events. Prints nothing.

pub mod document;
pub mod story;
