//! Log targets.

/// What Azure's plugin logs at every verbosity goes to this target, so that a filter can let it through where it drops
/// other lines of the same level: `kms_plugin::always=info`.
pub(crate) const ALWAYS: &str = "kms_plugin::always";
