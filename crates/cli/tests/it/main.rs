//! Integration tests of the workspace and of the built `kyanite` binary.
//!
//! `cfg(test)` is always true here; it is how clippy knows that helpers, too, may panic.

#[cfg(test)]
mod alone;
#[cfg(test)]
mod architecture;
#[cfg(test)]
mod control;
#[cfg(test)]
mod endings;
#[cfg(test)]
mod kyanite;
#[cfg(test)]
mod parity;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod screens;
#[cfg(test)]
mod stories;
#[cfg(test)]
mod up;
