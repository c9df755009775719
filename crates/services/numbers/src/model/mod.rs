//! What this service decides, without I/O: a reviewer reads this first.
//!
//! [`license`] is what a license is and what its settings show; [`search`] where numbers are looked for and which of
//! them will do; [`save`] whether a candidate may be saved, with the limit of one change a month; [`acquisition`] the
//! saga that buys, for a first number as for a replacement; [`audit`] what the carrier's account should hold;
//! [`sending`] quiet hours and registrations, which are only kept and told here.

pub(crate) mod acquisition;
pub(crate) mod audit;
pub(crate) mod license;
pub(crate) mod save;
pub(crate) mod search;
pub(crate) mod sending;
pub(crate) mod setback;
