//! Integration tests of the workspace and of the built `kyanite` binary.

mod architecture;
