//! The API server over its sockets and a real etcd, as its clients meet it.

#[cfg(test)]
mod etcd;
#[cfg(test)]
mod kms;
#[cfg(test)]
mod kubectl;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod namespaces;
#[cfg(test)]
mod nonsense;
#[cfg(test)]
mod objects;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod server;
#[cfg(test)]
mod stored;
#[cfg(test)]
mod transformation;
#[cfg(test)]
mod watches;
