//! What Twilio posts: forms, one event each.

use chassis::Secret;
use domain::{CarrierName, PhoneNumber};
use url::Url;

use super::{errors::TABLES, signature};
use crate::{
    CallInstruction, CallReport, InboundCall, InboundMedia, InboundMessage, MalformedWebhook, Receipt, ReceiptStatus,
    SignatureError, WebhookAnswer, WebhookRequest, Webhooks, calls, form::Form, twiml,
};

/// Twilio takes 10 at most; a carrier's mistake must not become our loop.
const MAX_MEDIA: usize = 32;

/// Without this fragment Twilio gives up on a webhook after the first 5xx or read time-out. It is neither
/// sent nor signed (CARRIERS §4: up to 3 more tries, on everything, within 15 s).
const RETRY_EVERYTHING: &str = "rc=3&rp=all";

/// An address of ours as Twilio is given it: with the order to try again.
pub(super) fn with_retries(address: &Url) -> String {
    let mut address = address.clone();
    address.set_fragment(Some(RETRY_EVERYTHING));
    address.into()
}

/// `MessageStatus` of a receipt, `status` of a message, and what it is to us. `read` and `partially_delivered` come from channels that we
/// do not use, but they say that the phone has it.
#[rustfmt::skip]
const STATUSES: &[(&str, ReceiptStatus)] = &[
    ("accepted",            ReceiptStatus::Sending),
    ("scheduled",           ReceiptStatus::Sending),
    ("queued",              ReceiptStatus::Sending),
    ("sending",             ReceiptStatus::Sending),
    ("sent",                ReceiptStatus::Sent),
    ("delivered",           ReceiptStatus::Delivered),
    ("read",                ReceiptStatus::Delivered),
    ("partially_delivered", ReceiptStatus::Delivered),
    ("undelivered",         ReceiptStatus::Undelivered),
    ("failed",              ReceiptStatus::Failed),
    ("canceled",            ReceiptStatus::Canceled),
];

/// What Twilio's word for the status of a message is to us.
pub(super) fn find_status(word: &str) -> Option<ReceiptStatus> {
    STATUSES.iter().find(|(known, _)| *known == word).map(|(_, status)| *status)
}

/// Twilio's side of [`Webhooks`].
#[derive(Debug)]
pub struct TwilioWebhooks {
    auth_tokens: Vec<Secret>,
}

impl TwilioWebhooks {
    /// Accepts requests signed with any of these auth tokens: two while one is being rotated.
    /// An empty token is dropped, because anybody can sign with it; without a token nothing is accepted.
    pub fn new(mut auth_tokens: Vec<Secret>) -> Self {
        auth_tokens.retain(|token| !token.expose().is_empty());
        Self { auth_tokens }
    }
}

impl Webhooks for TwilioWebhooks {
    fn name(&self) -> CarrierName {
        CarrierName::Twilio
    }

    fn verify(&self, request: &WebhookRequest<'_>) -> Result<(), SignatureError> {
        signature::verify(&self.auth_tokens, request)
    }

    fn parse_message(&self, request: &WebhookRequest<'_>) -> Result<InboundMessage, MalformedWebhook> {
        let form = Form::read(request)?;
        let from = form.get("From")?;
        let to = form.get("To")?;
        Ok(InboundMessage {
            carrier_message_id: form.get("MessageSid")?.to_owned(),
            from: PhoneNumber::from_e164(from).map_err(|_| MalformedWebhook::UnsupportedSender)?,
            to: PhoneNumber::from_e164(to).map_err(|_| MalformedWebhook::InvalidField("To"))?,
            body: form.find("Body").unwrap_or_default().to_owned(),
            media: media(&form)?,
            segments: form.find("NumSegments").and_then(|count| count.parse().ok()).filter(|count| *count > 0),
        })
    }

    fn parse_receipt(&self, request: &WebhookRequest<'_>) -> Result<Receipt, MalformedWebhook> {
        let form = Form::read(request)?;
        let status = find_status(form.get("MessageStatus")?).ok_or(MalformedWebhook::UnknownStatus)?;
        let code = form.find("ErrorCode").and_then(|code| code.parse().ok()).map(|code: u32| code.to_string());
        Ok(Receipt {
            message_id: request.message_id()?,
            carrier_message_id: form.get("MessageSid")?.to_owned(),
            status,
            error: status.is_failure().then(|| TABLES.receipt_refusal(code)),
        })
    }

    fn parse_call(&self, request: &WebhookRequest<'_>) -> Result<InboundCall, MalformedWebhook> {
        calls::parse_call(request)
    }

    fn parse_call_report(&self, request: &WebhookRequest<'_>) -> Result<Option<CallReport>, MalformedWebhook> {
        calls::parse_call_report(request)
    }

    fn call_answer(&self, instruction: &CallInstruction) -> WebhookAnswer {
        twiml::answer(instruction)
    }

    fn message_answer(&self) -> WebhookAnswer {
        let body = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response></Response>";
        WebhookAnswer { content_type: "text/xml", body: body.into() }
    }

    fn receipt_answer(&self) -> WebhookAnswer {
        WebhookAnswer { content_type: "text/plain", body: "".into() }
    }
}

fn media(form: &Form<'_>) -> Result<Vec<InboundMedia>, MalformedWebhook> {
    let urls = (0..MAX_MEDIA).map_while(|index| Some((index, form.find(&format!("MediaUrl{index}"))?)));
    urls.map(|(index, url)| {
        let content_type = form.find(&format!("MediaContentType{index}")).unwrap_or_default();
        Ok(InboundMedia {
            url: Url::parse(url).map_err(|_| MalformedWebhook::InvalidField("MediaUrl"))?,
            content_type: content_type.to_owned(),
        })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use domain::{Id, Message};
    use http::HeaderMap;
    use url::form_urlencoded;

    use super::*;
    use crate::harness::webhooks::{Fixture, Posted, webhook_tests};

    const OURS: &str = "+16465550111";

    struct Twilio;

    fn token() -> Secret {
        Secret::new("0123456789abcdef0123456789abcdef")
    }

    fn posted(url: &str, params: &[(&str, &str)]) -> Posted {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", "application/x-www-form-urlencoded; charset=utf-8".parse().unwrap());
        headers.insert(signature::SIGNATURE_HEADER, signature::sign(&token(), url, params).parse().unwrap());
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        Posted { url: Url::parse(url).unwrap(), headers, body: body.into_bytes() }
    }

    fn message_with(params: &[(&str, &str)]) -> Posted {
        let usual = [("MessageSid", "SM1"), ("From", "+14155550123"), ("To", OURS)];
        posted("https://in.example.com/webhooks/twilio/message", &[&usual, params].concat())
    }

    fn receipt_with(query: &str, params: &[(&str, &str)]) -> Posted {
        posted(&format!("https://in.example.com/webhooks/twilio/status{query}"), params)
    }

    impl Fixture for Twilio {
        fn carrier(&self) -> CarrierName {
            CarrierName::Twilio
        }

        fn webhooks(&self) -> Box<dyn Webhooks> {
            Box::new(TwilioWebhooks::new(vec![token()]))
        }

        fn signature_header(&self) -> &'static str {
            signature::SIGNATURE_HEADER
        }

        fn message(&self, carrier_message_id: &str, from: &str, body: &str) -> Posted {
            let params = [
                ("ToCountry", "US"),
                ("MessageSid", carrier_message_id),
                ("SmsSid", carrier_message_id),
                ("AccountSid", "AC1"),
                ("From", from),
                ("To", OURS),
                ("Body", body),
                ("NumMedia", "0"),
                ("NumSegments", "1"),
                ("NeverSeenBefore", "+ "),
            ];
            posted("https://in.example.com/webhooks/twilio/message", &params)
        }

        fn receipt(&self, message_id: Id<Message>, carrier_message_id: &str) -> Posted {
            let params = [
                ("MessageSid", carrier_message_id),
                ("MessageStatus", "delivered"),
                ("From", OURS),
                ("To", "+14155550123"),
                ("RawDlrDoneDate", "2611230900"),
                ("NeverSeenBefore", "+ "),
            ];
            receipt_with(&format!("?mid={message_id}"), &params)
        }

        fn call(&self, params: &[(&str, &str)]) -> Posted {
            posted("https://in.example.com/webhooks/twilio/voice", params)
        }
    }

    webhook_tests!(Twilio);

    #[test]
    fn pictures_come_in_order_and_may_come_without_a_text() {
        let posted = message_with(&[
            ("Body", ""),
            ("NumMedia", "2"),
            ("MediaUrl1", "https://api.twilio.com/b"),
            ("MediaContentType1", "image/png"),
            ("MediaUrl0", "https://api.twilio.com/a"),
            ("MediaContentType0", "image/jpeg"),
        ]);
        let message = Twilio.webhooks().parse_message(&posted.request()).unwrap();
        let media: Vec<_> = message.media.iter().map(|item| (item.url.path(), item.content_type.as_str())).collect();
        assert_eq!(media, [("/a", "image/jpeg"), ("/b", "image/png")]);
        assert_eq!(message.body, "");
        assert_eq!(message.segments, None);
    }

    #[test]
    fn a_message_without_an_id_names_what_is_missing() {
        let posted = posted("https://in.example.com/m", &[("From", "+14155550123"), ("To", OURS), ("Body", "x")]);
        let parsed = Twilio.webhooks().parse_message(&posted.request());
        assert_eq!(parsed, Err(MalformedWebhook::MissingField("MessageSid")));
    }

    #[test]
    fn every_status_of_twilio_has_a_meaning() {
        for (word, expected) in STATUSES {
            let posted = receipt_with(
                &format!("?mid={}", Id::<Message>::new()),
                &[("MessageSid", "SM1"), ("MessageStatus", word)],
            );
            let receipt = Twilio.webhooks().parse_receipt(&posted.request()).unwrap();
            assert_eq!(receipt.status, *expected);
            assert_eq!(
                receipt.error.is_some(),
                matches!(expected, ReceiptStatus::Failed | ReceiptStatus::Undelivered),
                "only what went wrong has a reason"
            );
        }
    }

    #[test]
    fn a_failed_receipt_says_why() {
        let posted = receipt_with(
            &format!("?mid={}", Id::<Message>::new()),
            &[("MessageSid", "SM1"), ("MessageStatus", "undelivered"), ("ErrorCode", "30006")],
        );
        let error = Twilio.webhooks().parse_receipt(&posted.request()).unwrap().error.unwrap();
        assert_eq!(error.code, crate::refusal_code::CANNOT_RECEIVE_SMS);
        assert_eq!(error.carrier_code.as_deref(), Some("30006"));
    }

    #[test]
    fn a_receipt_without_our_id_or_with_a_strange_status_is_malformed() {
        let parse = |query: &str, status: &str| {
            let posted = receipt_with(query, &[("MessageSid", "SM1"), ("MessageStatus", status)]);
            Twilio.webhooks().parse_receipt(&posted.request()).unwrap_err()
        };
        let mid = format!("?mid={}", Id::<Message>::new());
        assert_eq!(parse("", "sent"), MalformedWebhook::MissingField("mid"));
        assert_eq!(parse("?mid=17", "sent"), MalformedWebhook::InvalidField("mid"));
        assert_eq!(parse(&mid, "teleported"), MalformedWebhook::UnknownStatus);
        assert_eq!(parse(&mid, ""), MalformedWebhook::MissingField("MessageStatus"));
    }

    #[test]
    fn another_mid_in_the_address_breaks_the_signature() {
        let mut posted = Twilio.receipt(Id::new(), "SM1");
        posted.url.set_query(Some(&format!("mid={}", Id::<Message>::new())));
        assert_eq!(Twilio.webhooks().verify(&posted.request()), Err(SignatureError::Mismatch));
    }

    #[test]
    fn both_tokens_are_good_while_one_is_rotated_and_an_empty_one_never_is() {
        let good = Twilio.message("SM1", "+14155550123", "x");
        let rotating = TwilioWebhooks::new(vec![Secret::new("new"), token()]);
        assert_eq!(rotating.verify(&good.request()), Ok(()));

        let mut forged = Twilio.message("SM1", "+14155550123", "x");
        let params: Vec<_> = form_urlencoded::parse(&good.body).collect();
        let signature = signature::sign(&Secret::new(""), good.url.as_str(), &params);
        forged.headers.insert(signature::SIGNATURE_HEADER, signature.parse().unwrap());
        let careless = TwilioWebhooks::new(vec![Secret::new("")]);
        assert_eq!(careless.verify(&forged.request()), Err(SignatureError::Mismatch));
    }

    #[test]
    fn the_answer_to_a_message_says_nothing_to_the_sender() {
        let answer = Twilio.webhooks().message_answer();
        assert!(answer.body.ends_with("<Response></Response>") && answer.content_type == "text/xml");
        assert_eq!(Twilio.webhooks().receipt_answer().body, "");
    }
}
