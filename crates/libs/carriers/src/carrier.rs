//! What we ask of a carrier.
//!
//! The trait is shaped by what carriers have in common, not by one of them: numbers are bought by their digits
//! and tagged with the license, webhooks are given as one set (a carrier that keeps them on a profile or an
//! application makes that first), and a message carries its own receipt address. There is no idempotency key
//! anywhere, so nothing here repeats a call.

use std::fmt;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use domain::{AreaCode, CarrierName, Id, LicenseId, Message, MessageBody, PhoneNumber};
use url::Url;

use crate::inquiries::{ReceivedPage, SentCopy, SentMessage};
use crate::lines::LineInfo;
use crate::media::{FetchedMedia, MediaError, MediaLimits};
use crate::outcome::{CallError, SendOutcome};
use crate::webhooks::InboundMedia;

/// One carrier, with warm connections. Cheap to share behind an `Arc`.
#[async_trait]
pub trait Carrier: Send + Sync + fmt::Debug {
    /// Which one this is.
    fn name(&self) -> CarrierName;

    /// US local numbers that can be bought now, for texts and voice and without an address requirement (rule 2).
    /// No match is an empty list. Nothing is reserved.
    async fn search_numbers(&self, search: &NumberSearch) -> Result<Vec<PhoneNumber>, CallError>;

    /// Buys exactly this number, tagged and with its webhooks set (rule 5).
    ///
    /// A carrier that sells asynchronously waits here until the order is settled; if that takes too long, the
    /// answer is [`CallError::Unknown`] and `find_owned_number` tells later, as after a lost answer.
    async fn buy_number(&self, order: &NumberOrder) -> Result<OwnedNumber, CallError>;

    /// The number, if our account owns it. Exact match.
    ///
    /// `license_id` is the one for which it may have been ordered. While an order of it is still open at the
    /// carrier, the answer is [`CallError::Unknown`]: neither yes nor no.
    async fn find_owned_number(
        &self,
        number: &PhoneNumber,
        license_id: &LicenseId,
    ) -> Result<Option<OwnedNumber>, CallError>;

    /// All numbers tagged with this license, at most 1,000: finds what a crash left behind (rule 5).
    async fn list_owned_by(&self, license_id: &LicenseId) -> Result<Vec<OwnedNumber>, CallError>;

    /// All numbers of the account, a page at a time: `page` is [`OwnedPage::next`] of the page before, `None` the
    /// first. For the audit, which compares them with ours.
    async fn list_owned_numbers(&self, page: Option<&str>) -> Result<OwnedPage, CallError>;

    /// Sets tag and webhooks of a number that we own. May be repeated.
    async fn configure_number(&self, owned: &OwnedNumber, order: &NumberOrder) -> Result<OwnedNumber, CallError>;

    /// Gives a number back. Already gone is `Ok`, so it may be repeated.
    async fn release_number(&self, carrier_number_id: &str) -> Result<(), CallError>;

    /// What is known of the line behind a number (rules 12 and 18). Costs money: ask once and remember.
    async fn look_up_line(&self, number: &PhoneNumber) -> Result<LineInfo, CallError>;

    /// Hands one message over, once. Never repeats by itself (rule 16).
    async fn send_message(&self, message: &OutboundMessage) -> SendOutcome;

    /// Messages at the carrier that may be this one: between the same numbers, made since it was attempted, oldest first.
    /// `None`: this carrier cannot be asked. An empty list proves nothing at once: lists lag behind. May be repeated.
    async fn find_sent(&self, message: &SentMessage) -> Result<Option<Vec<SentCopy>>, CallError>;

    /// What became of a message that the carrier took. `None`: it does not know it, or not any more. May be repeated.
    async fn get_sent(&self, carrier_message_id: &str) -> Result<Option<SentCopy>, CallError>;

    /// Texts to one of our numbers since a time, newest first, a page at a time: `page` is [`ReceivedPage::next`] of the
    /// page before, `None` the first. `None`: this carrier cannot be asked. May be repeated.
    async fn list_received(
        &self,
        to: &PhoneNumber,
        since: DateTime<Utc>,
        page: Option<&str>,
    ) -> Result<Option<ReceivedPage>, CallError>;

    /// Fetches what came with an inbound message, from the carrier's own hosts alone. May be repeated.
    async fn fetch_media(&self, media: &InboundMedia, limits: &MediaLimits) -> Result<FetchedMedia, MediaError>;
}

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub struct NumberSearch {
    /// Only numbers of this area code; any US number if absent.
    pub area_code: Option<AreaCode>,
    /// At most so many; carriers give at most 1,000.
    pub limit: u16,
}

/// A number as it shall be: whose it is and where the carrier reports.
#[derive(Clone, Debug)]
pub struct NumberOrder {
    /// The number, E.164.
    pub number: PhoneNumber,
    /// The tag at the carrier, by which `list_owned_by` finds it.
    pub license_id: LicenseId,
    /// Where the carrier posts.
    pub webhooks: NumberWebhooks,
}

/// Public addresses for one number. Receipts of messages are not here: each message names its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberWebhooks {
    /// Inbound messages.
    pub message_url: Url,
    /// Inbound calls. Asked once more when it fails, where the carrier has a setting for that.
    pub voice_url: Url,
    /// The end of a call.
    pub voice_status_url: Url,
}

/// A number that our account owns at the carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedNumber {
    /// The carrier's id of it, for `configure_number` and `release_number`.
    pub carrier_number_id: String,
    /// The number, E.164.
    pub number: PhoneNumber,
    /// The tag. Absent if it is not one of ours, as with a number bought by hand.
    pub license_id: Option<LicenseId>,
    /// Where texts to it are posted, without a fragment. Absent if the carrier does not say it with the number.
    pub message_url: Option<Url>,
}

/// A page of the numbers that an account owns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnedPage {
    pub numbers: Vec<OwnedNumber>,
    /// Names the next page. `None`: this was the last one.
    pub next: Option<String>,
}

/// One message for one phone.
#[derive(Clone)]
pub struct OutboundMessage {
    /// Our id.
    pub message_id: Id<Message>,
    /// A messages number that we own.
    pub from: PhoneNumber,
    /// The recipient.
    pub to: PhoneNumber,
    /// The text, every character of it (rule 14).
    pub body: MessageBody,
    /// Pictures and files, at most 10, fetched by the carrier.
    pub media_urls: Vec<Url>,
    /// Where receipts go. Already carries `?mid=<message_id>`, so that a receipt settles an `Unknown` (rule 16).
    pub receipt_url: Url,
}

impl fmt::Debug for OutboundMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboundMessage")
            .field("message_id", &self.message_id)
            .field("from", &self.from)
            .field("to", &self.to)
            .field("body", &self.body)
            .field("media_urls", &self.media_urls.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_a_message_shows_neither_text_nor_numbers_nor_media() {
        let message = OutboundMessage {
            message_id: Id::new(),
            from: PhoneNumber::from_e164("+16465550111").unwrap(),
            to: PhoneNumber::from_e164("+14155550123").unwrap(),
            body: MessageBody::parse("my secret").unwrap(),
            media_urls: vec![Url::parse("https://files.example.com/passport").unwrap()],
            receipt_url: Url::parse("https://in.example.com/status?mid=1").unwrap(),
        };
        let shown = format!("{message:?}");
        for hidden in ["my secret", "+16465550111", "+14155550123", "passport"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
}
