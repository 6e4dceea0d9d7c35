//! A real gateway on loopback, asked by raw sockets and by reqwest as an SDK's transport asks it.

#[cfg(test)]
mod clients;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod garbage;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod shutdown;
#[cfg(test)]
mod tunnels;
