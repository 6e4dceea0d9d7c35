//! The emulator over its sockets, as its clients meet it.

#[cfg(test)]
mod keys;
#[cfg(test)]
mod stack;
