//! What comes of a call. Calls are forwarded, never recorded or listened to: this is all there is to know.

use crate::words::word_set;

word_set! {
    /// What came of a call to a messages number (rule 6). The first one that is reported stays.
    CallResult, "call result" {
        /// The company took it.
        Answered = "answered",
        /// Nobody took it, or the caller gave up first.
        NoAnswer = "no_answer",
        Busy = "busy",
        /// It could not be put through: no company phone, a wrong one, or a fault of the carrier.
        Failed = "failed",
    }
}
