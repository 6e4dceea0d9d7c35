//! The emulator over its sockets, as its clients meet it.
//!
//! `cfg(test)` is always true here; it is how clippy knows that helpers, too, may panic.

#[cfg(test)]
mod access;
#[cfg(test)]
mod assertions;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod hosts;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod network;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod persistence;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod seeding;
#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod stack;
