//! The plugin on its socket, with the real Azure SDK, against a scripted vault behind a forward proxy.

#[cfg(test)]
mod burst;
#[cfg(test)]
mod checks;
#[cfg(test)]
mod failures;
#[cfg(test)]
mod health;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod like_azure;
#[cfg(test)]
mod parity;
#[cfg(test)]
mod peer;
#[cfg(test)]
mod probes;
#[cfg(test)]
mod proxy_mode;
#[cfg(test)]
mod published;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod two_keys;
#[cfg(test)]
mod v1;
#[cfg(test)]
mod versions;
