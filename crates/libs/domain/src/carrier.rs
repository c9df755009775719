//! Who owns the wire, and which way a message goes over it.
//!
//! Names only. What a carrier can do and how it is spoken to is the `carriers` crate's business.

use crate::words::word_set;

word_set! {
    /// A company that carries our messages.
    CarrierName, "carrier" {
        Twilio = "twilio",
        Telnyx = "telnyx",
    }
}

word_set! {
    /// Seen from the license: `inbound` comes from a person, `outbound` goes to one.
    Direction, "direction" {
        Inbound = "inbound",
        Outbound = "outbound",
    }
}
