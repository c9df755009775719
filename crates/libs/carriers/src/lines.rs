//! What a carrier's lookup tells of the line behind a number: its kind, and the network that it is on.
//!
//! Names of networks are written in many ways. Each carrier has a literal table of those that are sure; a name that is
//! not there, as of those who sell another's network under their own name, is [`Network::Other`].

use domain::Network;

/// What a lookup tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineInfo {
    pub line_type: LineType,
    /// Absent if the carrier does not say it.
    pub network: Option<Network>,
}

/// What kind of line a number is, as a carrier's lookup says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LineType {
    Mobile,
    Landline,
    /// Internet telephony; much of it takes texts.
    Voip,
    TollFree,
    /// The caller pays.
    Premium,
    /// The carrier says that there is no such number.
    Invalid,
    /// Anything else, also what the carrier does not know.
    Other,
}

impl LineType {
    /// Surely not able to receive texts. What may be able is tried: a lookup knows lines, not what was
    /// enabled on them (CARRIERS §7).
    pub const fn cannot_receive_sms(self) -> bool {
        matches!(self, Self::Landline | Self::Premium | Self::Invalid)
    }
}

/// The meaning of a word in a carrier's table of kinds. One that is not there is [`LineType::Other`].
pub(crate) fn read_line_type(table: &[(&str, LineType)], word: Option<&str>) -> LineType {
    let row = word.and_then(|word| table.iter().find(|(known, _)| *known == word));
    row.map_or(LineType::Other, |(_, line_type)| *line_type)
}

/// The meaning of a name in a carrier's table of networks. Only the case of the letters is forgiven.
pub(crate) fn read_network(table: &[(&str, Network)], name: &str) -> Option<Network> {
    let name = name.trim();
    if name.is_empty() {
        return None;
    }
    let row = table.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    Some(row.map_or(Network::Other, |(_, network)| *network))
}
