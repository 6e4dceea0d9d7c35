//! `envelope` from outside: values that a real kube-apiserver wrote, vectors of another implementation, properties, and a
//! model that is driven at random.
//!
//! `cfg(test)` is always true here; it is how clippy knows that helpers, too, may panic.

#[cfg(test)]
mod anatomy;
#[cfg(test)]
mod config;
#[cfg(test)]
mod counterparts;
#[cfg(test)]
mod edge_cases;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod model;
#[cfg(test)]
mod plugin;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod redaction;
#[cfg(test)]
mod upstream;
#[cfg(test)]
mod upstream_page;
#[cfg(test)]
mod vectors;
