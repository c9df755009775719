//! Reading a request to send. What is wrong with the request itself is refused here, before anything is looked up.

use chassis::Fault;
use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use domain::{MessageBody, PersonId};
use prost::Message as _;
use prost_types::Timestamp;
use proto::conversations as wire;
use proto::from_timestamp;
use sha2::{Digest, Sha256};
use url::Url;

use super::{parse_license_id, parse_manager};
use crate::error;
use crate::model::{Recipient, Sending, Text};
use crate::store::idempotency::Key;

const MAX_RECIPIENTS: usize = 10_000;
/// Carriers take at most ten.
const MAX_MEDIA: usize = 10;
const MAX_MEDIA_URL: usize = 2_000;
const MAX_KEY: usize = 200;
/// How far ahead a send may be scheduled.
const MAX_AHEAD: TimeDelta = TimeDelta::days(60);

/// A request with its parts read.
pub(super) struct SendRequest {
    pub sending: Sending,
    /// Empty: none.
    pub key: String,
    pub hash: Vec<u8>,
    /// `None`: at once. Whether it lies ahead is for [`check_send_at`] to say: a repeated request may come later.
    pub send_at: Option<DateTime<Utc>>,
}

impl SendRequest {
    pub(super) fn parse(request: wire::SendMessagesRequest) -> Result<Self, Fault> {
        let hash = hash(&request);
        let license_id = parse_license_id(&request.license_id)?;
        let (manager_id, manager_name) = parse_manager(request.manager)?;
        let key = request.idempotency_key;
        if key.len() > MAX_KEY || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            let detail = format!("An idempotency key has at most {MAX_KEY} visible ASCII characters.");
            return Err(Fault::invalid("Idempotency-Key", "invalid_idempotency_key", detail));
        }
        let text = parse_text(request.body)?;
        if !(1..=MAX_RECIPIENTS).contains(&request.recipients.len()) {
            return Err(error::out_of_range("recipients", 1, MAX_RECIPIENTS as u64));
        }
        let recipients = request.recipients.into_iter().enumerate().map(|(index, each)| parse_recipient(index, each));
        let sending = Sending {
            license_id,
            manager_id,
            manager_name,
            recipients: recipients.collect::<Result<_, _>>()?,
            text,
            media_urls: parse_media(request.media_urls)?,
            last_seen: request.last_seen_seq.map(|seq| i64::try_from(seq).unwrap_or(i64::MAX)),
        };
        Ok(Self { sending, key, hash, send_at: request.send_at.map(parse_send_at).transpose()? })
    }

    pub(super) fn key(&self) -> Key<'_> {
        let Sending { license_id, manager_id, .. } = &self.sending;
        Key { license_id, manager_id, chosen: &self.key }
    }
}

/// A text, with merge fields or without.
pub(super) fn parse_text(body: String) -> Result<Text, Fault> {
    let body =
        MessageBody::parse(body).map_err(|invalid| Fault::invalid("body", invalid.code(), format!("{invalid}.")))?;
    Text::parse(&body).map_err(error::unknown_merge_field)
}

pub(super) fn parse_send_at(send_at: Timestamp) -> Result<DateTime<Utc>, Fault> {
    // As precise as it is stored.
    from_timestamp(Some(send_at)).map(|at| at.trunc_subsecs(6)).map_err(|_| error::send_at_out_of_range())
}

/// A time to send at lies ahead, by 60 days at most.
pub(super) fn check_send_at(send_at: DateTime<Utc>, now: DateTime<Utc>) -> Result<(), Fault> {
    if send_at > now && send_at <= now + MAX_AHEAD { Ok(()) } else { Err(error::send_at_out_of_range()) }
}

fn parse_recipient(index: usize, recipient: wire::Recipient) -> Result<Recipient, Fault> {
    match recipient.to {
        Some(wire::recipient::To::PersonId(id)) => PersonId::parse(id)
            .map(Recipient::PersonId)
            .map_err(|invalid| error::invalid_id(&format!("recipients[{index}].person_id"), &invalid)),
        Some(wire::recipient::To::ConversationId(id)) => {
            Ok(id.parse().map_or(Recipient::UnknownConversation(id), Recipient::ConversationId))
        }
        None => Err(Fault::invalid(
            format!("recipients[{index}]"),
            "missing_field",
            "A recipient is named by `person_id` or by `conversation_id`.",
        )),
    }
}

fn parse_media(urls: Vec<String>) -> Result<Vec<String>, Fault> {
    if urls.len() > MAX_MEDIA {
        return Err(Fault::invalid("media_urls", "too_many", format!("A message carries at most {MAX_MEDIA} media.")));
    }
    for (index, text) in urls.iter().enumerate() {
        // The parser reads over some control characters; what is stored and sent is the text itself.
        let fine = text.len() <= MAX_MEDIA_URL
            && !text.contains(char::is_control)
            && Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
        if !fine {
            let detail = format!("Give an http or https address of at most {MAX_MEDIA_URL} characters.");
            return Err(Fault::invalid(format!("media_urls[{index}]"), "invalid_url", detail));
        }
    }
    Ok(urls)
}

/// The same request has the same hash, whoever carries it, under whichever name of the day, and whatever he has seen
/// meanwhile.
fn hash(request: &wire::SendMessagesRequest) -> Vec<u8> {
    let compared = wire::SendMessagesRequest {
        recipients: request.recipients.clone(),
        body: request.body.clone(),
        media_urls: request.media_urls.clone(),
        send_at: request.send_at,
        ..Default::default()
    };
    Sha256::digest(compared.encode_to_vec()).to_vec()
}
