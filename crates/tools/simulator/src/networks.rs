//! Which network a phone is on: told by the last digit of its number, so that a test chooses by choosing the number.

/// A network, in the words of both carriers.
pub(crate) struct Network {
    /// As Twilio's lookups name it.
    pub(crate) twilio_name: &'static str,
    /// As Telnyx names it in lookups and messages.
    pub(crate) telnyx_name: &'static str,
    /// Telnyx' one spelling; nothing for a network that it does not know.
    pub(crate) normalized: Option<&'static str>,
    /// Of the country and of the network, as in the standard.
    pub(crate) mcc: &'static str,
    pub(crate) mnc: &'static str,
}

const ATT: Network =
    Network { twilio_name: "AT&T Wireless", telnyx_name: "AT&T", normalized: Some("AT&T"), mcc: "310", mnc: "410" };
const T_MOBILE: Network = Network {
    twilio_name: "T-Mobile USA, Inc.",
    telnyx_name: "T-MOBILE USA, INC.",
    normalized: Some("T-Mobile USA"),
    mcc: "310",
    mnc: "260",
};
const VERIZON: Network = Network {
    twilio_name: "Verizon Wireless",
    telnyx_name: "CELLCO PARTNERSHIP DBA VERIZON WIRELESS - OH",
    normalized: Some("Verizon Wireless"),
    mcc: "311",
    mnc: "480",
};
const SIMULATED: Network = Network {
    twilio_name: "Simulated Wireless",
    telnyx_name: "Simulated Wireless",
    normalized: None,
    mcc: "310",
    mnc: "000",
};

/// 0 to 2 AT&T, 3 to 5 T-Mobile, 6 to 8 Verizon, 9 a small network of its own.
pub(crate) fn find_network(number: &str) -> &'static Network {
    match number.bytes().last() {
        Some(b'0'..=b'2') => &ATT,
        Some(b'3'..=b'5') => &T_MOBILE,
        Some(b'6'..=b'8') => &VERIZON,
        _ => &SIMULATED,
    }
}
