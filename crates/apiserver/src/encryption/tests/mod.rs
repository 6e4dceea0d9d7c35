//! The driver against a plugin in this process, over a real socket, held against what a real kube-apiserver answered.

mod contract;
mod counterparts;
mod decrypt;
mod metrics;
mod model;
mod outage;
mod plugin;
mod providers;
mod reload;
mod rotation;
mod v1;
mod world;
