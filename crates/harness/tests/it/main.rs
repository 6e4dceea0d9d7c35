//! Integration tests of the harness: the real etcd, the real parts, the public API.
//!
//! `cfg(test)` is always true here; it is how clippy knows that helpers, too, may panic.

#[cfg(test)]
mod etcd;
#[cfg(test)]
mod inspection;
#[cfg(test)]
mod redactor;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod seed;
#[cfg(test)]
mod stack;
#[cfg(test)]
mod tour;
