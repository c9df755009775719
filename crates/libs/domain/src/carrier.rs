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
    /// A network of the United States whose own limits matter to a campaign (rule 18). All others share a word.
    Network, "network" {
        Att = "att",
        TMobile = "t_mobile",
        Verizon = "verizon",
        Other = "other",
    }
}

word_set! {
    /// A limit on sending that a carrier names when it refuses or fails a message (rule 18).
    SendingLimit, "sending limit" {
        /// Of one number of ours: its queue at the carrier is full.
        Sender = "sender",
        /// Of a campaign at one network, in a minute.
        Campaign = "campaign",
        /// Of a brand at one network, in a day.
        NetworkDay = "network_day",
        /// Of a brand, in a day.
        BrandDay = "brand_day",
    }
}

word_set! {
    /// Seen from the license: `inbound` comes from a person, `outbound` goes to one.
    Direction, "direction" {
        Inbound = "inbound",
        Outbound = "outbound",
    }
}
