//! What every carrier must do, written once and run over each: [`webhooks`] for what it posts, [`rest`] for what it is
//! asked, [`inquiries`] for what it is asked afterwards. A carrier's folder says in its fixture how it words things, calls the two macros in its tests, and adds only
//! what is particular to it. A carrier that needs an exception here needs a reason in its README line.

pub(crate) mod inquiries;
pub(crate) mod media;
pub(crate) mod rest;
pub(crate) mod scripted;
pub(crate) mod webhooks;
