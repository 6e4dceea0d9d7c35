//! Names for every byte of a stored value, encrypted or plain: what `kyanite inspect` shows.
//!
//! The walk is total. Whatever the bytes are, the parts cover them all, in order and without overlap; what cannot be
//! read is a part that says so. It decrypts nothing and shows no secret: only texts that stand beside the data have a
//! value.

mod part;
mod schema;
mod walk;

pub use part::Part;
pub use walk::anatomy;
