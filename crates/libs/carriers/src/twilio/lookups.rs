//! Lookup v2: what kind of line a number is. Paid, so the caller remembers the answer.

use domain::PhoneNumber;
use serde::Deserialize;

use super::{errors::TABLES, rest::Rest};
use crate::{CallError, LineType};

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

pub(super) async fn look_up_line(rest: &Rest, number: &PhoneNumber) -> Result<LineType, CallError> {
    let request = rest.lookup(number).query(&[("Fields", "line_type_intelligence")]);
    let answer: Answer = rest.fetch(request).await.map_err(|trouble| TABLES.call_error(trouble))?;
    if !answer.valid {
        return Ok(LineType::Invalid);
    }
    let word = answer.line_type_intelligence.and_then(|line| line.kind).unwrap_or_default();
    Ok(LINE_TYPES.iter().find(|(known, _)| *known == word).map_or(LineType::Other, |(_, line_type)| *line_type))
}

#[cfg(test)]
mod tests {
    use super::{super::fixture::twilio_at, *};
    use crate::{
        Carrier,
        harness::scripted::{Act, Scripted},
    };

    async fn look_up(answer: &'static str) -> (LineType, String) {
        let server = Scripted::start(&[Act::Answer(200, "", answer)]).await;
        let number = PhoneNumber::from_e164("+14155550123").unwrap();
        let line_type = twilio_at(&server.url).look_up_line(&number).await.unwrap();
        (line_type, server.only_request().line)
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
            let (line_type, line) = look_up(answer).await;
            assert_eq!(line_type, expected, "{answer}");
            assert!(line.starts_with("GET /v2/PhoneNumbers/+14155550123?Fields=line_type_intelligence "), "{line}");
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
