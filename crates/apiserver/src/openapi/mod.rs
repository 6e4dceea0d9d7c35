//! What the API is made of, in the two versions of `OpenAPI` that clients read.

mod schemas;
pub(crate) mod v2;
pub(crate) mod v3;

/// The title of both documents.
const TITLE: &str = "Kubernetes (Kyanite)";
