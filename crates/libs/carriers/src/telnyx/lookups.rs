//! Number lookup: what kind of line a number is. Paid, so the caller remembers the answer.

use domain::PhoneNumber;
use http::Method;
use serde::Deserialize;

use super::{errors::TABLES, rest::Rest};
use crate::{CallError, LineType};

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    carrier: Option<Line>,
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: Option<String>,
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

pub(super) async fn look_up_line(rest: &Rest, number: &PhoneNumber) -> Result<LineType, CallError> {
    let request = rest.request(Method::GET, &["number_lookup", number.as_str()]).query(&[("type", "carrier")]);
    let answer: Answer = rest.fetch(request).await.map_err(|trouble| TABLES.call_error(trouble))?;
    let word = answer.carrier.and_then(|line| line.kind).unwrap_or_default();
    Ok(LINE_TYPES.iter().find(|(known, _)| *known == word).map_or(LineType::Other, |(_, line_type)| *line_type))
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
            let line_type = telnyx_at(&server.url).look_up_line(&number("+14155550123")).await.unwrap();
            assert_eq!(line_type, expected, "{answer}");
            let line = server.only_request().line;
            assert!(line.starts_with("GET /v2/number_lookup/+14155550123?type=carrier "), "{line}");
        }
    }

    #[test]
    fn only_what_surely_cannot_receive_texts_is_refused() {
        let refused: Vec<_> =
            LINE_TYPES.iter().filter(|(_, line)| line.cannot_receive_sms()).map(|(word, _)| *word).collect();
        assert_eq!(refused, ["fixed line", "premium rate"]);
    }
}
