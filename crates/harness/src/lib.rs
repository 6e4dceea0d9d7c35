//! Assembles a stack of Kyanite's parts, runs scenarios against it and emits events. Prints nothing.
//!
//! [`stack::Stack::start`] is the way in for everything that needs a stack. What this crate does not do: it speaks no
//! emulated protocol itself, and it reads neither arguments nor the environment.

pub mod alone;
pub mod control;
pub mod doctor;
pub mod document;
pub mod etcd;
pub mod pki;
pub mod ready;
pub mod runtime;
pub mod stack;
pub mod story;
