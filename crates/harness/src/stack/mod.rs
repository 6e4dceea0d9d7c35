//! Kyanite's parts put together: what `kyanite up` and every scenario runs on.

mod progress;

pub use progress::{Progress, Step};
