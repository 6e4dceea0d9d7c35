//! One part by itself, as a process of its own: for use beside kind, a real kube-apiserver or the real plugin.
//!
//! Such a part is a server like the ones it imitates: it keeps nothing that a `kill -9` could lose, and it needs no
//! stack, no runtime directory and no control door.

mod api_server;
mod plugin;
mod running;

pub use api_server::ApiServerAlone;
pub use kms_plugin::Difference;
pub use plugin::PluginAlone;
pub use running::RunningPart;
