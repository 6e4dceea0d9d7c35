//! `metav1.Time` in storage: whole seconds.

use jiff::Timestamp;

/// A moment. The zero time is an empty message, as upstream writes it; any other has both fields.
#[derive(Clone, Copy, Eq, PartialEq, prost::Message)]
pub struct Time {
    /// Seconds since 1970.
    #[prost(int64, optional, tag = "1")]
    pub seconds: Option<i64>,
    /// Always 0 in storage: upstream drops fractions.
    #[prost(int32, optional, tag = "2")]
    pub nanos: Option<i32>,
}

impl Time {
    /// The moment, cut to whole seconds.
    pub fn new(at: Timestamp) -> Self {
        Self { seconds: Some(at.as_second()), nanos: Some(0) }
    }

    /// The moment; `None` for the zero time and for one that a [`Timestamp`] cannot show.
    pub fn timestamp(&self) -> Option<Timestamp> {
        Timestamp::new(self.seconds?, self.nanos.unwrap_or(0)).ok()
    }
}
