//! Texts and their receipts.

use carriers::{InboundMessage, MalformedWebhook, Receipt};
use chrono::{DateTime, Utc};
use domain::CarrierName;
use proto::ingest::{Error, Media, MessageReceived, ReceiptReceived};

use super::{Identified, check_carrier_id};

/// `ingest.message.received.v1`, with id `<carrier>:<carrier's message id>`.
pub(crate) fn message_received(
    carrier: CarrierName,
    message: InboundMessage,
    now: DateTime<Utc>,
) -> Result<Identified<MessageReceived>, MalformedWebhook> {
    let media = message.media.into_iter().map(|item| Media { url: item.url.into(), content_type: item.content_type });
    let received = MessageReceived {
        carrier: carrier.to_string(),
        carrier_message_id: message.carrier_message_id,
        from: message.from.as_str().to_owned(),
        to: message.to.as_str().to_owned(),
        body: message.body,
        media: media.collect(),
        received_at: Some(proto::to_timestamp(now)),
        follows: None,
    };
    let (event_id, event) = received.identify().map_err(|_| MalformedWebhook::InvalidField("carrier_message_id"))?;
    Ok(Identified { event_id, event })
}

/// `ingest.receipt.received.v1`, with id `<carrier>:<carrier's message id>:<status>`.
///
/// Carriers' words that mean the same to us (`queued` and `sending`) are the same event.
pub(crate) fn receipt_received(
    carrier: CarrierName,
    receipt: Receipt,
    now: DateTime<Utc>,
) -> Result<Identified<ReceiptReceived>, MalformedWebhook> {
    check_carrier_id(&receipt.carrier_message_id, "carrier_message_id")?;
    let status = receipt.status.message_status();
    Ok(Identified {
        event_id: format!("{carrier}:{}:{status}", receipt.carrier_message_id),
        event: ReceiptReceived {
            carrier: carrier.to_string(),
            carrier_message_id: receipt.carrier_message_id,
            message_id: receipt.message_id.to_string(),
            status: status.to_string(),
            error: receipt.error.map(|refusal| Error {
                code: refusal.code.to_owned(),
                detail: refusal.detail,
                limit: refusal.limit.map(|limit| limit.to_string()),
            }),
            received_at: Some(proto::to_timestamp(now)),
        },
    })
}

#[cfg(test)]
mod tests {
    use carriers::{InboundMedia, ReceiptStatus, Refusal};
    use domain::{Id, PhoneNumber, SendingLimit};

    use super::*;

    fn message(body: &str) -> InboundMessage {
        InboundMessage {
            carrier_message_id: "SM1".to_owned(),
            from: PhoneNumber::from_e164("+14155550123").unwrap(),
            to: PhoneNumber::from_e164("+16465550111").unwrap(),
            body: body.to_owned(),
            media: Vec::new(),
            segments: None,
        }
    }

    fn receipt(status: ReceiptStatus) -> Receipt {
        Receipt { message_id: Id::new(), carrier_message_id: "SM1".to_owned(), status, error: None }
    }

    fn received(message: InboundMessage) -> Result<Identified<MessageReceived>, MalformedWebhook> {
        message_received(CarrierName::Twilio, message, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_text_is_told_with_all_that_came_with_it() {
        let mut message = message(" «ünï» 日本 😀\r\n");
        let url = url::Url::parse("https://api.twilio.com/Media/ME1").unwrap();
        message.media = vec![InboundMedia { url, content_type: "image/png".to_owned() }];
        let event = received(message).unwrap().event;
        assert_eq!(event.body, " «ünï» 日本 😀\r\n");
        assert_eq!((event.from.as_str(), event.to.as_str()), ("+14155550123", "+16465550111"));
        assert_eq!(event.media[0].url, "https://api.twilio.com/Media/ME1");
        assert_eq!(event.media[0].content_type, "image/png");
    }

    #[test]
    fn a_message_has_the_same_id_whatever_else_differs() {
        let first = received(message("one")).unwrap();
        let again = received(message("two")).unwrap();
        assert_eq!(first.event_id, "twilio:SM1");
        assert_eq!(first.event_id, again.event_id);
    }

    #[test]
    fn every_status_of_a_receipt_is_an_event_of_its_own_in_the_words_of_the_design() {
        for (status, word) in [
            (ReceiptStatus::Sending, "sending"),
            (ReceiptStatus::Sent, "sent"),
            (ReceiptStatus::Delivered, "delivered"),
            (ReceiptStatus::Undelivered, "undelivered"),
            (ReceiptStatus::Failed, "failed"),
            (ReceiptStatus::Canceled, "canceled"),
        ] {
            let identified = receipt_received(CarrierName::Twilio, receipt(status), DateTime::UNIX_EPOCH).unwrap();
            assert_eq!(identified.event.status, word);
            assert_eq!(identified.event_id, format!("twilio:SM1:{word}"));
        }
    }

    #[test]
    fn a_receipt_says_which_limit_was_reached() {
        for (limit, word) in [
            (None, None),
            (Some(SendingLimit::Sender), Some("sender")),
            (Some(SendingLimit::Campaign), Some("campaign")),
            (Some(SendingLimit::NetworkDay), Some("network_day")),
            (Some(SendingLimit::BrandDay), Some("brand_day")),
        ] {
            let error =
                Some(Refusal { code: "rejected_by_carrier", detail: "No.".to_owned(), carrier_code: None, limit });
            let receipt = Receipt { error, ..receipt(ReceiptStatus::Failed) };
            let event = receipt_received(CarrierName::Twilio, receipt, DateTime::UNIX_EPOCH).unwrap().event;
            assert_eq!(event.error.unwrap().limit.as_deref(), word);
        }
    }

    #[test]
    fn an_id_that_could_not_stand_in_a_header_is_refused() {
        let message = InboundMessage { carrier_message_id: "SM1\r\nNats-Rollup: all".to_owned(), ..message("x") };
        assert_eq!(received(message).unwrap_err(), MalformedWebhook::InvalidField("carrier_message_id"));
    }
}
