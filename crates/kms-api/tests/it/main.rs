//! Public API only: the generated code is current, and the sockets keep their promises.

#[cfg(test)]
mod generated;
#[cfg(test)]
mod sockets;
