//! What the bus brings: numbers, how licenses send, messages to send, what is not to be sent after all, receipts. Each
//! handler parses its events, lets the store write them in the consumer's transaction, and wakes the loop after the commit.

use std::collections::{BTreeMap, HashMap};

use bus::{Classify as _, HandleError, Handler, Received, Relay};
use chassis::Clock;
use chrono::TimeDelta;
use domain::{CarrierName, Id, LicenseId, Message, MessageBody, MessageStatus, PhoneNumber};
use proto::conversations::sending_withdrawn::Of;
use proto::conversations::{MessageQueued, SendingWithdrawn};
use proto::ingest::ReceiptReceived;
use proto::numbers::{NumberAssigned, SendingChanged};
use sqlx::PgTransaction;
use url::Url;

use crate::error::IntakeError;
use crate::model::{InquiryTimes, QuietHours, find_line_by_code};
use crate::send::Hint;
use crate::store::{
    LimitWord, NewDelivery, NewNumber, NewSending, NewWithdrawal, Priority, Said, Scope, close_limits, pause_senders,
    record_deliveries, record_numbers, record_recipients_that_cannot_receive, record_sending, record_withdrawals,
    settle_by_receipts,
};

/// More segments than any text or medium has.
const MOST_SEGMENTS: u32 = 100;

/// From which number a license sends.
#[derive(Debug)]
pub struct NumberAssignedHandler {
    pub clock: Clock,
    pub hint: Hint,
    /// Those that this process can call.
    pub carriers: Vec<CarrierName>,
}

impl Handler for NumberAssignedHandler {
    type Event = NumberAssigned;
    type Done = ();

    async fn handle(&self, tx: &mut PgTransaction<'_>, events: &[Received<NumberAssigned>]) -> Result<(), HandleError> {
        let all: Result<Vec<NewNumber>, IntakeError> = events.iter().map(|each| parse_number(&each.event)).collect();
        let newest = keep_newest(all.permanent()?, |number| (number.license_id.clone(), number.version));
        for number in newest.iter().filter(|number| !self.carriers.contains(&number.carrier)) {
            let (license_id, carrier) = (&number.license_id, number.carrier);
            tracing::warn!(%license_id, %carrier, "this process has no credentials for the number's carrier; others may");
        }
        record_numbers(tx, &newest, self.clock.now()).await.transient()
    }

    async fn committed(&self, (): ()) {
        self.hint.wake();
    }
}

/// Of each license what has the highest version. `of` tells both.
fn keep_newest<T>(all: Vec<T>, of: impl Fn(&T) -> (LicenseId, i64)) -> Vec<T> {
    let mut newest: BTreeMap<LicenseId, (i64, T)> = BTreeMap::new();
    for each in all {
        let (license_id, version) = of(&each);
        if newest.get(&license_id).is_none_or(|(present, _)| version > *present) {
            newest.insert(license_id, (version, each));
        }
    }
    newest.into_values().map(|(_, each)| each).collect()
}

fn parse_number(event: &NumberAssigned) -> Result<NewNumber, IntakeError> {
    let license_id = LicenseId::parse(event.license_id.as_str()).map_err(IntakeError::License)?;
    let number = PhoneNumber::from_e164(&event.number)
        .map_err(|source| IntakeError::Number { license: license_id.clone(), source })?;
    Ok(NewNumber {
        license_id,
        number,
        carrier: event.carrier.parse().map_err(IntakeError::Carrier)?,
        version: i64::try_from(event.version).map_err(|_| IntakeError::Version)?,
    })
}

/// How a license sends, beside the pace of its number.
#[derive(Debug)]
pub struct SendingChangedHandler {
    pub clock: Clock,
    pub hint: Hint,
}

impl Handler for SendingChangedHandler {
    type Event = SendingChanged;
    type Done = ();

    async fn handle(&self, tx: &mut PgTransaction<'_>, events: &[Received<SendingChanged>]) -> Result<(), HandleError> {
        let all: Result<Vec<NewSending>, IntakeError> = events.iter().map(|each| parse_sending(&each.event)).collect();
        let newest = keep_newest(all.permanent()?, |sending| (sending.license_id.clone(), sending.version));
        record_sending(tx, &newest, self.clock.now()).await.transient()
    }

    async fn committed(&self, (): ()) {
        self.hint.wake();
    }
}

fn parse_sending(event: &SendingChanged) -> Result<NewSending, IntakeError> {
    let license_id = LicenseId::parse(event.license_id.as_str()).map_err(IntakeError::License)?;
    let quiet = match &event.quiet_hours {
        Some(hours) => Some(
            QuietHours::parse(hours.from_minute, hours.until_minute)
                .ok_or_else(|| IntakeError::QuietHours { license: license_id.clone() })?,
        ),
        None => None,
    };
    Ok(NewSending {
        license_id,
        quiet,
        campaign: event.campaign.clone(),
        brand: event.brand.clone(),
        version: i64::try_from(event.version).map_err(|_| IntakeError::Version)?,
    })
}

/// What is to be sent.
#[derive(Debug)]
pub struct MessageQueuedHandler {
    pub clock: Clock,
    /// Networks have limits.
    pub by_network: bool,
    pub hint: Hint,
    pub relay: Relay,
}

impl Handler for MessageQueuedHandler {
    type Event = MessageQueued;
    /// How many were not queued, because their batch was canceled before they came.
    type Done = usize;

    async fn handle(
        &self,
        tx: &mut PgTransaction<'_>,
        events: &[Received<MessageQueued>],
    ) -> Result<usize, HandleError> {
        let new: Result<Vec<NewDelivery>, IntakeError> =
            events.iter().map(|received| parse_delivery(&received.event)).collect();
        let now = self.clock.now();
        let canceled = record_deliveries(tx, &new.permanent()?, self.by_network, now).await.transient()?;
        bus::outbox::record(tx, &canceled, now).await.transient()?;
        Ok(canceled.len())
    }

    async fn committed(&self, canceled: usize) {
        self.hint.wake();
        announce_withdrawn(canceled, &self.relay);
    }
}

fn parse_delivery(event: &MessageQueued) -> Result<NewDelivery, IntakeError> {
    let message: Id<Message> = event.message_id.parse().map_err(IntakeError::MessageId)?;
    let priority = match event.priority() {
        proto::conversations::Priority::Reply => Priority::Reply,
        proto::conversations::Priority::Batch => Priority::Batch,
        proto::conversations::Priority::Unspecified => return Err(IntakeError::Priority { message }),
    };
    let media_urls: Result<Vec<Url>, _> = event.media_urls.iter().map(|url| Url::parse(url)).collect();
    let segments = Some(event.segments).filter(|segments| (1..=MOST_SEGMENTS).contains(segments));
    Ok(NewDelivery {
        license_id: LicenseId::parse(event.license_id.as_str()).map_err(IntakeError::License)?,
        message_id: message,
        conversation_id: event
            .conversation_id
            .parse()
            .map_err(|source| IntakeError::Conversation { message, source })?,
        batch_id: event
            .batch_id
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|source| IntakeError::Batch { message, source })?,
        priority,
        follows: event
            .follows
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|source| IntakeError::Follows { message, source })?,
        to: PhoneNumber::from_e164(&event.to).map_err(|source| IntakeError::Recipient { message, source })?,
        body: MessageBody::parse(event.body.as_str()).map_err(|source| IntakeError::Body { message, source })?,
        media_urls: media_urls.map_err(|source| IntakeError::Media { message, source })?,
        segments: segments.and_then(|count| i32::try_from(count).ok()).ok_or(IntakeError::Segments { message })?,
        queued_at: proto::from_timestamp(event.queued_at)
            .map_err(|source| IntakeError::QueuedAt { message, source })?,
    })
}

/// What is not to be sent any more: of a canceled batch, or of a deleted conversation (rule 11).
#[derive(Debug)]
pub struct SendingWithdrawnHandler {
    pub clock: Clock,
    pub relay: Relay,
}

impl Handler for SendingWithdrawnHandler {
    type Event = SendingWithdrawn;
    /// How many deliveries ended.
    type Done = usize;

    async fn handle(
        &self,
        tx: &mut PgTransaction<'_>,
        events: &[Received<SendingWithdrawn>],
    ) -> Result<usize, HandleError> {
        let new: Result<Vec<NewWithdrawal>, IntakeError> =
            events.iter().map(|received| parse_withdrawal(&received.event)).collect();
        record_withdrawals(tx, &new.permanent()?, self.clock.now()).await.transient()
    }

    async fn committed(&self, ended: usize) {
        announce_withdrawn(ended, &self.relay);
    }
}

fn parse_withdrawal(event: &SendingWithdrawn) -> Result<NewWithdrawal, IntakeError> {
    let of = match event.of.as_ref().ok_or(IntakeError::Withdrawn)? {
        Of::BatchId(id) => Scope::Batch(id.parse().map_err(IntakeError::WithdrawnId)?),
        Of::ConversationId(id) => Scope::Conversation(id.parse().map_err(IntakeError::WithdrawnId)?),
    };
    Ok(NewWithdrawal { license_id: LicenseId::parse(event.license_id.as_str()).map_err(IntakeError::License)?, of })
}

fn announce_withdrawn(messages: usize, relay: &Relay) {
    if messages > 0 {
        metrics::counter!("dispatch_withdrawn_total").increment(messages as u64);
        relay.hint();
    }
}

/// What settles an attempt whose outcome is not known (rule 16), and what carriers find out about lines (rule 12).
#[derive(Debug)]
pub struct ReceiptReceivedHandler {
    pub clock: Clock,
    pub relay: Relay,
    /// For how long it is known what was learned of a line.
    pub keep_lines: TimeDelta,
    pub times: InquiryTimes,
}

impl Handler for ReceiptReceivedHandler {
    type Event = ReceiptReceived;
    type Done = bool;

    async fn handle(
        &self,
        tx: &mut PgTransaction<'_>,
        events: &[Received<ReceiptReceived>],
    ) -> Result<bool, HandleError> {
        // A receipt without an id of ours is about a message that we did not send: nothing to settle.
        let mut receipts: HashMap<Id<Message>, Said> = HashMap::new();
        for receipt in events.iter().map(|received| &received.event) {
            let Ok(message_id) = receipt.message_id.parse() else { continue };
            let is_end = receipt.status.parse().is_ok_and(|status: MessageStatus| status.is_final());
            let carrier_message_id = receipt.carrier_message_id.clone();
            let said = receipts.entry(message_id).or_insert(Said { message_id, carrier_message_id, is_end });
            said.is_end |= is_end;
        }
        if receipts.is_empty() {
            return Ok(false);
        }
        let receipts: Vec<Said> = receipts.into_values().collect();
        let now = self.clock.now();
        let words: Vec<LimitWord> = events.iter().filter_map(|received| find_limit(&received.event)).collect();
        pause_senders(tx, &words, now).await.transient()?;
        let settled = settle_by_receipts(tx, &receipts, &self.times, now).await.transient()?;
        let refused: Vec<Id<Message>> = events.iter().filter_map(|received| find_refused(&received.event)).collect();
        if !refused.is_empty() {
            let known_until = now + self.keep_lines;
            record_recipients_that_cannot_receive(tx, &refused, known_until, now).await.transient()?;
        }
        bus::outbox::record(tx, &settled, now).await.transient()?;
        close_limits(tx, &words, now).await.transient()?;
        Ok(!settled.is_empty())
    }

    async fn committed(&self, settled: bool) {
        if settled {
            self.relay.hint();
        }
    }
}

/// The limit that a receipt speaks of. A word that is not known says nothing.
fn find_limit(receipt: &ReceiptReceived) -> Option<LimitWord> {
    let limit = receipt.error.as_ref()?.limit.as_deref()?.parse().ok()?;
    Some(LimitWord { message_id: receipt.message_id.parse().ok()?, limit, network: None })
}

/// The message of a receipt that says that its recipient cannot receive texts.
fn find_refused(receipt: &ReceiptReceived) -> Option<Id<Message>> {
    find_line_by_code(&receipt.error.as_ref()?.code)?;
    receipt.message_id.parse().ok()
}
