//! Number lookup: what kind of line a number is, and on which network. Paid, so the caller remembers the answer.

use domain::{Network, PhoneNumber};
use http::Method;
use serde::Deserialize;

use super::{errors::TABLES, rest::Rest};
use crate::{
    CallError, LineInfo, LineType,
    lines::{read_line_type, read_network},
};

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    carrier: Option<Line>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: Option<String>,
    /// The company, and often which of its parts, in many spellings.
    name: Option<String>,
    /// The network, in one spelling, where Telnyx knows it.
    normalized_carrier: Option<String>,
}

/// Telnyx' words (CARRIERS §7). A word that is not here is [`LineType::Other`], also `fixed line or mobile`.
#[rustfmt::skip]
const LINE_TYPES: &[(&str, LineType)] = &[
    ("mobile",       LineType::Mobile),
    ("fixed line",   LineType::Landline),
    ("voip",         LineType::Voip),
    ("toll free",    LineType::TollFree),
    ("premium rate", LineType::Premium),
];

/// `normalized_carrier`, else `name`, in whatever case.
#[rustfmt::skip]
const NETWORKS: &[(&str, Network)] = &[
    ("AT&T",                          Network::Att),
    ("AT&T Mobility",                 Network::Att),
    ("AT&T Wireless",                 Network::Att),
    ("T-Mobile",                      Network::TMobile),
    ("T-Mobile US-SVR-10X/2",         Network::TMobile),
    ("T-Mobile USA",                  Network::TMobile),
    ("T-Mobile USA, Inc.",            Network::TMobile),
    ("Verizon",                       Network::Verizon),
    ("Verizon Wireless",              Network::Verizon),
    ("Verizon Wireless:6006 - SVR/2", Network::Verizon),
];

pub(super) async fn look_up_line(rest: &Rest, number: &PhoneNumber) -> Result<LineInfo, CallError> {
    let request = rest.request(Method::GET, &["number_lookup", number.as_str()]).query(&[("type", "carrier")]);
    let answer: Answer = rest.fetch(request).await.map_err(|trouble| TABLES.call_error(trouble))?;
    let Some(line) = answer.carrier else { return Ok(LineInfo { line_type: LineType::Other, network: None }) };
    let names = [line.normalized_carrier, line.name];
    Ok(LineInfo {
        line_type: read_line_type(LINE_TYPES, line.kind.as_deref()),
        network: names.iter().flatten().find_map(|name| read_network(NETWORKS, name)),
    })
}

#[cfg(test)]
mod tests {
    use super::{super::fixture::telnyx_at, *};
    use crate::{
        Carrier,
        harness::{
            rest::number,
            scripted::{Act, Scripted},
        },
    };

    #[tokio::test]
    async fn every_kind_of_line_has_a_meaning_and_a_strange_one_is_tried() {
        for (answer, expected) in [
            (r#"{"data":{"carrier":{"type":"mobile"}}}"#, LineType::Mobile),
            (r#"{"data":{"carrier":{"type":"fixed line"}}}"#, LineType::Landline),
            (r#"{"data":{"carrier":{"type":"fixed line or mobile"}}}"#, LineType::Other),
            (r#"{"data":{"carrier":{"type":"voip"}}}"#, LineType::Voip),
            (r#"{"data":{"carrier":{"type":"toll free"}}}"#, LineType::TollFree),
            (r#"{"data":{"carrier":{"type":"premium rate"}}}"#, LineType::Premium),
            (r#"{"data":{"carrier":{"type":"pager"}}}"#, LineType::Other),
            (r#"{"data":{"carrier":{"type":null}}}"#, LineType::Other),
            (r#"{"data":{"carrier":null}}"#, LineType::Other),
            (r#"{"data":{}}"#, LineType::Other),
        ] {
            let server = Scripted::start(&[Act::Answer(200, "", answer)]).await;
            let info = telnyx_at(&server.url).look_up_line(&number("+14155550123")).await.unwrap();
            assert_eq!(info, LineInfo { line_type: expected, network: None }, "{answer}");
            let line = server.only_request().line;
            assert!(line.starts_with("GET /v2/number_lookup/+14155550123?type=carrier "), "{line}");
        }
    }

    #[tokio::test]
    async fn a_network_is_known_by_its_names_and_one_that_borrows_a_network_is_another() {
        for (answer, expected) in [
            (r#"{"data":{"carrier":{"name":"T-MOBILE USA, INC."}}}"#, Some(Network::TMobile)),
            (
                r#"{"data":{"carrier":{"name":"X - NY","normalized_carrier":"Verizon Wireless"}}}"#,
                Some(Network::Verizon),
            ),
            (r#"{"data":{"carrier":{"name":"AT&T","normalized_carrier":null}}}"#, Some(Network::Att)),
            (r#"{"data":{"carrier":{"name":"AT&T","normalized_carrier":""}}}"#, Some(Network::Att)),
            (r#"{"data":{"carrier":{"name":"AT&T","normalized_carrier":"A reseller"}}}"#, Some(Network::Other)),
            (r#"{"data":{"carrier":{"name":""}}}"#, None),
            (r#"{"data":{"carrier":null}}"#, None),
        ] {
            let server = Scripted::start(&[Act::Answer(200, "", answer)]).await;
            let info = telnyx_at(&server.url).look_up_line(&number("+14155550123")).await.unwrap();
            assert_eq!(info.network, expected, "{answer}");
        }
    }

    #[test]
    fn only_what_surely_cannot_receive_texts_is_refused() {
        let refused: Vec<_> =
            LINE_TYPES.iter().filter(|(_, line)| line.cannot_receive_sms()).map(|(word, _)| *word).collect();
        assert_eq!(refused, ["fixed line", "premium rate"]);
    }
}
