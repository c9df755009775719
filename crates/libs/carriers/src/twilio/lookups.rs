//! Lookup v2: what kind of line a number is, and on which network. Paid, so the caller remembers the answer.

use domain::{Network, PhoneNumber};
use serde::Deserialize;

use super::{errors::TABLES, rest::Rest};
use crate::{
    CallError, LineInfo, LineType,
    lines::{read_line_type, read_network},
};

#[derive(Deserialize)]
struct Answer {
    valid: bool,
    #[serde(default)]
    line_type_intelligence: Option<Line>,
}

#[derive(Deserialize)]
struct Line {
    /// Null when Twilio has no data, with an `error_code` beside it.
    #[serde(rename = "type")]
    kind: Option<String>,
    carrier_name: Option<String>,
}

/// Twilio's words (CARRIERS §7). A word that is not here is [`LineType::Other`].
#[rustfmt::skip]
const LINE_TYPES: &[(&str, LineType)] = &[
    ("mobile",       LineType::Mobile),
    ("landline",     LineType::Landline),
    ("fixedVoip",    LineType::Voip),
    ("nonFixedVoip", LineType::Voip),
    ("tollFree",     LineType::TollFree),
    ("premium",      LineType::Premium),
];

/// `carrier_name`, in whatever case. Sprint's numbers are on T-Mobile's network since 2022.
#[rustfmt::skip]
const NETWORKS: &[(&str, Network)] = &[
    ("AT&T",                 Network::Att),
    ("AT&T Mobility",        Network::Att),
    ("AT&T Wireless",        Network::Att),
    ("Sprint Spectrum, L.P.", Network::TMobile),
    ("T-Mobile",             Network::TMobile),
    ("T-Mobile USA, Inc.",   Network::TMobile),
    ("Verizon",              Network::Verizon),
    ("Verizon Wireless",     Network::Verizon),
];

pub(super) async fn look_up_line(rest: &Rest, number: &PhoneNumber) -> Result<LineInfo, CallError> {
    let request = rest.lookup(number).query(&[("Fields", "line_type_intelligence")]);
    let answer: Answer = rest.fetch(request).await.map_err(|trouble| TABLES.call_error(trouble))?;
    if !answer.valid {
        return Ok(LineInfo { line_type: LineType::Invalid, network: None });
    }
    let (kind, name) = answer.line_type_intelligence.map_or((None, None), |line| (line.kind, line.carrier_name));
    Ok(LineInfo {
        line_type: read_line_type(LINE_TYPES, kind.as_deref()),
        network: name.and_then(|name| read_network(NETWORKS, &name)),
    })
}

#[cfg(test)]
mod tests {
    use super::{super::fixture::twilio_at, *};
    use crate::{
        Carrier,
        harness::scripted::{Act, Scripted},
    };

    async fn look_up(answer: &'static str) -> (LineInfo, String) {
        let server = Scripted::start(&[Act::Answer(200, "", answer)]).await;
        let number = PhoneNumber::from_e164("+14155550123").unwrap();
        let info = twilio_at(&server.url).look_up_line(&number).await.unwrap();
        (info, server.only_request().line)
    }

    #[tokio::test]
    async fn every_kind_of_line_has_a_meaning_and_a_strange_one_is_tried() {
        for (answer, expected) in [
            (r#"{"valid":true,"line_type_intelligence":{"type":"mobile"}}"#, LineType::Mobile),
            (r#"{"valid":true,"line_type_intelligence":{"type":"landline"}}"#, LineType::Landline),
            (r#"{"valid":true,"line_type_intelligence":{"type":"nonFixedVoip"}}"#, LineType::Voip),
            (r#"{"valid":true,"line_type_intelligence":{"type":"premium"}}"#, LineType::Premium),
            (r#"{"valid":true,"line_type_intelligence":{"type":"pager"}}"#, LineType::Other),
            (r#"{"valid":true,"line_type_intelligence":{"type":null,"error_code":60600}}"#, LineType::Other),
            (r#"{"valid":true,"line_type_intelligence":null}"#, LineType::Other),
            (r#"{"valid":false,"validation_errors":["TOO_SHORT"]}"#, LineType::Invalid),
        ] {
            let (info, line) = look_up(answer).await;
            assert_eq!(info, LineInfo { line_type: expected, network: None }, "{answer}");
            assert!(line.starts_with("GET /v2/PhoneNumbers/+14155550123?Fields=line_type_intelligence "), "{line}");
        }
    }

    #[tokio::test]
    async fn a_network_is_known_by_its_names_and_one_that_borrows_a_network_is_another() {
        for (answer, expected) in [
            (
                r#"{"valid":true,"line_type_intelligence":{"carrier_name":"T-Mobile USA, Inc."}}"#,
                Some(Network::TMobile),
            ),
            (r#"{"valid":true,"line_type_intelligence":{"carrier_name":"VERIZON WIRELESS"}}"#, Some(Network::Verizon)),
            (r#"{"valid":true,"line_type_intelligence":{"carrier_name":"AT&T Wireless"}}"#, Some(Network::Att)),
            (r#"{"valid":true,"line_type_intelligence":{"carrier_name":"Verizon Reseller"}}"#, Some(Network::Other)),
            (r#"{"valid":true,"line_type_intelligence":{"carrier_name":""}}"#, None),
            (r#"{"valid":true,"line_type_intelligence":{"carrier_name":null,"type":"tollFree"}}"#, None),
            (r#"{"valid":false}"#, None),
        ] {
            assert_eq!(look_up(answer).await.0.network, expected, "{answer}");
        }
    }

    #[test]
    fn only_what_surely_cannot_receive_texts_is_refused() {
        let refused: Vec<_> =
            LINE_TYPES.iter().filter(|(_, line)| line.cannot_receive_sms()).map(|(word, _)| *word).collect();
        assert_eq!(refused, ["landline", "premium"]);
        assert!(LineType::Invalid.cannot_receive_sms() && !LineType::Other.cannot_receive_sms());
    }
}
