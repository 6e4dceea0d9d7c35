//! The plugin on its socket, with the real Azure SDK, against a scripted vault behind a forward proxy.

#[cfg(test)]
mod checks;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod health;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod parity;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod versions;
