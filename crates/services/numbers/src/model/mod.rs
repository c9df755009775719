//! What this service decides, without I/O: a reviewer reads this first.
//!
//! [`license`] is what a license is and what its settings show; [`acquisition`] is how it gets its first number.

pub(crate) mod acquisition;
pub(crate) mod license;
