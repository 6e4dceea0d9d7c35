//! Who set which field: `metadata.managedFields`.
//!
//! kube-apiserver stores these entries, so they are part of the bytes that it encrypts. This module does what
//! `structured-merge-diff` (`merge/update.go`) and `apimachinery/pkg/util/managedfields` do: [`track`] for creates,
//! updates and patches, [`apply`] for server-side apply.

mod apply;
mod compare;
mod set;
mod update;

pub(crate) use apply::{Applier, ApplyError, Conflicts, apply};
pub(crate) use update::{differ_in_times_only, track};
