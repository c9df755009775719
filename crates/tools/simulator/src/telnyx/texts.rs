//! What Telnyx says about a message: the same record in answers and in events (CARRIERS §3, §4).

use chrono::Utc;
use serde_json::{Value, json};

use super::webhooks::Event;
use super::{ORGANIZATION, iso_8601};
use crate::consent::Keyword;
use crate::history::{Direction, Message, Status};
use crate::networks::find_network;
use crate::receipts::Step;
use crate::segments::is_gsm;

/// Where the events of one message go, and the message as it was accepted.
pub(crate) struct MessageReport {
    pub(super) url: Option<String>,
    pub(super) failover: Option<String>,
    pub(super) record: Value,
}

impl MessageReport {
    /// What is posted at this step; nothing without an address.
    pub(crate) fn prepare(&self, step: Step) -> Option<(&str, Option<&str>, Event)> {
        let url = self.url.as_deref()?;
        let mut record = self.record.clone();
        let now = iso_8601(Utc::now());
        record["to"][0]["status"] = json!(status_word(step.status));
        let kind = if step.status == Status::Sent {
            record["sent_at"] = json!(now);
            "message.sent"
        } else {
            record["completed_at"] = json!(now);
            "message.finalized"
        };
        record["errors"] = list_errors(step.error_code);
        Some((url, self.failover.as_deref(), Event::new(kind, record)))
    }
}

/// The event of a text from a phone.
pub(crate) fn make_inbound(message: &Message, profile_id: Option<&str>, word: Option<Keyword>) -> Event {
    let mut record = show(message, profile_id);
    if let Some(word) = word {
        record["autoresponse_type"] = json!(word.as_str());
    }
    Event::new("message.received", record)
}

pub(super) fn show(message: &Message, profile_id: Option<&str>) -> Value {
    let outbound = message.direction != Direction::Inbound;
    let media: Vec<Value> = message
        .media_urls
        .iter()
        .enumerate()
        .map(|(index, url)| json!({ "url": url, "content_type": message.media_type(index), "sha256": null, "size": null }))
        .collect();
    let line = |number: &str| json!({ "phone_number": number, "carrier": find_network(number).telnyx_name, "line_type": "Wireless" });
    let mut to = line(&message.to);
    to["status"] = json!(status_word(message.status));
    json!({
        "id": message.sid,
        "record_type": "message",
        "direction": if outbound { "outbound" } else { "inbound" },
        "type": if media.is_empty() { "SMS" } else { "MMS" },
        "organization_id": ORGANIZATION,
        "messaging_profile_id": profile_id,
        "from": line(&message.from),
        "to": [to],
        "cc": [],
        // A picture without words has no text at all.
        "text": Some(&message.body).filter(|body| !body.is_empty()),
        "subject": null,
        "media": media,
        "encoding": if is_gsm(&message.body) { "GSM-7" } else { "UCS-2" },
        "parts": message.segments,
        "tags": [],
        "cost": null,
        "errors": list_errors(message.error_code),
        "received_at": iso_8601(message.created_at),
        "sent_at": message.sent_at.filter(|_| outbound).map(iso_8601),
        "completed_at": (outbound && message.status.is_final()).then(|| iso_8601(message.updated_at)),
        "valid_until": null,
    })
}

fn status_word(status: Status) -> &'static str {
    match status {
        Status::Received => "webhook_delivered",
        Status::Queued => "queued",
        Status::Sent => "sent",
        Status::Delivered => "delivered",
        Status::Undelivered => "delivery_failed",
        Status::Failed => "sending_failed",
    }
}

fn list_errors(code: Option<u32>) -> Value {
    let Some(code) = code else { return json!([]) };
    let title = match code {
        40001 => "Not routable",
        40004 => "Rejected by destination",
        40011 => "Too many requests",
        40016 => "T-Mobile 10DLC sending limit reached",
        40018 => "AT&T 10DLC sending limit reached",
        _ => "Undeliverable",
    };
    json!([{
        "code": code.to_string(),
        "title": title,
        "detail": format!("{title}."),
        "meta": { "url": format!("https://developers.telnyx.com/docs/overview/errors/{code}") },
    }])
}
