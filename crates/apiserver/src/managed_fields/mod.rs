//! Who set which field: `metadata.managedFields` for creates, updates and patches.
//!
//! kube-apiserver stores these entries, so they are part of the bytes that it encrypts. This module does what
//! `structured-merge-diff` (`merge/update.go: Update`) and `apimachinery/pkg/util/managedfields` do for operation
//! `Update`. Server-side apply, which would need merging and conflicts, is not here.

mod compare;
mod set;
mod update;

pub(crate) use update::track;
