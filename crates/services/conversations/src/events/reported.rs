//! What became of messages: outcomes of attempts (`dispatch.message.progressed`) and receipts of carriers
//! (`ingest.receipt.received`). Both come doubled and in any order; a status never goes backwards.
//!
//! A message that failed because its number cannot receive texts says so of the number (rule 12), and one that failed
//! because of the carrier's own list of those who want none, too (rule 13).

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use bus::{Classify, HandleError, Handler, Received};
use chrono::{DateTime, Utc};
use domain::{Batch, ConsentSource, Conversation, Id, LicenseId, Message, PhoneNumber};
use proto::{Event, dispatch, from_timestamp, ingest};
use sqlx::PgTransaction;
use uuid::Uuid;

use super::not_applied;
use crate::model::{ConsentChange, KnownConsent, Report, decide_consent, plan_progress};
use crate::push::Pusher;
use crate::store::licenses::{self, FeedRange, Locked, Subject};
use crate::store::{StoreError, batches, consents, conversations, messages, textless};

/// An event that says something about a message.
pub(crate) trait Reporting: Event + Clone {
    /// Its parts, read.
    fn report(&self) -> anyhow::Result<Report>;
}

impl Reporting for dispatch::MessageProgressed {
    fn report(&self) -> anyhow::Result<Report> {
        Ok(Report {
            message_id: self.message_id.parse()?,
            status: self.status.parse()?,
            from: self.from.as_deref().map(PhoneNumber::from_e164).transpose()?,
            carrier: self.carrier.clone(),
            carrier_message_id: self.carrier_message_id.clone(),
            segments: self.segments.map(i32::try_from).transpose()?,
            error: self.error.clone().map(|error| (error.code, error.detail)),
            occurred_at: from_timestamp(self.occurred_at)?,
        })
    }
}

impl Reporting for ingest::ReceiptReceived {
    fn report(&self) -> anyhow::Result<Report> {
        Ok(Report {
            message_id: self.message_id.parse()?,
            status: self.status.parse()?,
            from: None,
            carrier: Some(self.carrier.clone()),
            carrier_message_id: Some(self.carrier_message_id.clone()),
            segments: None,
            error: self.error.clone().map(|error| (error.code, error.detail)),
            occurred_at: from_timestamp(self.received_at)?,
        })
    }
}

/// Follows one kind of such events.
#[derive(Debug)]
pub(crate) struct Reported<E> {
    pusher: Pusher,
    event: PhantomData<fn() -> E>,
}

impl<E> Reported<E> {
    pub(crate) fn new(pusher: Pusher) -> Self {
        Self { pusher, event: PhantomData }
    }
}

impl<E: Reporting> Handler for Reported<E> {
    type Event = E;
    type Done = Vec<FeedRange>;

    async fn handle(&self, tx: &mut PgTransaction<'_>, events: &[Received<E>]) -> Result<Vec<FeedRange>, HandleError> {
        let reports: anyhow::Result<Vec<Report>> = events.iter().map(|received| received.event.report()).collect();
        apply(tx, &reports.permanent()?).await.map_err(not_applied)
    }

    async fn committed(&self, ranges: Vec<FeedRange>) {
        self.pusher.push(ranges);
    }
}

/// Applies reports to the messages they name. A report for a message that is gone changes nothing (rule 11).
///
/// A batch is about many licenses, and their locks would hold up their managers' sends for its whole length. So it
/// locks the messages, in a fixed order, and the licenses only at the end, for their feeds' next positions.
async fn apply(tx: &mut PgTransaction<'_>, reports: &[Report]) -> Result<Vec<FeedRange>, StoreError> {
    let ids: Vec<Uuid> = reports.iter().map(|report| report.message_id.uuid()).collect();
    let mut followed = messages::load_known(tx, &ids).await?;
    let mut changed: BTreeSet<Id<Message>> = BTreeSet::new();
    let mut shown = Vec::new();
    let mut textless = BTreeMap::new();
    let mut opted_out = BTreeMap::new();
    // Whose counts are others now.
    let mut moved_on: BTreeSet<(LicenseId, Id<Batch>)> = BTreeSet::new();
    for report in reports {
        let Some(message) = followed.get_mut(&report.message_id) else { continue };
        let Some(after) = plan_progress(&message.known, report) else { continue };
        // Only the report that decides the message speaks of its number: one that comes late may be long disproved.
        if after.shows_textless() && !message.known.shows_textless() {
            textless.insert((message.license_id.clone(), message.to), report.occurred_at);
        }
        if after.shows_opted_out() && !message.known.shows_opted_out() {
            opted_out.insert((message.license_id.clone(), message.to), (message.conversation_id, report.occurred_at));
        }
        if after.status != message.known.status {
            moved_on.extend(message.batch_id.map(|batch_id| (message.license_id.clone(), batch_id)));
        }
        message.known = after;
        // Several reports of one batch show as one change.
        if changed.insert(report.message_id) {
            shown.push((report.message_id, report.occurred_at));
        }
    }
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<_> = changed.iter().filter_map(|id| Some((*id, followed.get(id)?))).collect();
    messages::record_known(tx, &rows).await?;
    let mut locked = licenses::lock(tx, rows.iter().map(|(_, message)| message.license_id.clone())).await?;
    for (message_id, occurred_at) in shown {
        if let Some(message) = followed.get(&message_id) {
            let subject = Subject::MessageUpdated(message.conversation_id, message_id);
            locked.record(&message.license_id, subject, occurred_at);
        }
    }
    if !moved_on.is_empty() {
        batches::mark_changed(tx, &moved_on.into_iter().collect::<Vec<_>>()).await?;
    }
    if !textless.is_empty() {
        let new = textless::record(tx, &textless).await?;
        let now = textless.into_values().max().unwrap_or_default();
        for (license_id, conversation_id) in conversations::list_open(tx, &new).await? {
            locked.record(&license_id, Subject::ConversationUpdated(conversation_id), now);
        }
    }
    if !opted_out.is_empty() {
        note_refusals(tx, &mut locked, &opted_out).await?;
    }
    locked.write(tx).await
}

/// The conversation of a refused message, and when it was refused, by number.
type Refusals = BTreeMap<(LicenseId, PhoneNumber), (Id<Conversation>, DateTime<Utc>)>;

/// Notes that carriers do not bring texts to these numbers. The licenses are locked.
async fn note_refusals(tx: &mut PgTransaction<'_>, locked: &mut Locked, refusals: &Refusals) -> Result<(), StoreError> {
    let known = consents::load_known(tx, &refusals.keys().cloned().collect()).await?;
    let mut changes = Vec::new();
    let mut lines = Vec::new();
    for ((license_id, number), (conversation_id, at)) in refusals {
        let said = KnownConsent { opted_out: true, source: ConsentSource::Carrier, changed_at: *at };
        if decide_consent(known.get(&(license_id.clone(), *number)).copied(), said) {
            let change = ConsentChange { license_id: license_id.clone(), number: *number, known: said, note: None };
            lines.push(change.line(*conversation_id));
            changes.push(change);
        }
    }
    consents::record(tx, &changes).await?;
    consents::record_lines(tx, &lines).await?;
    let numbers = changes.iter().map(|change| (change.license_id.clone(), change.number)).collect();
    let mut flipped: BTreeSet<_> = conversations::list_open(tx, &numbers).await?.into_iter().collect();
    flipped.extend(lines.iter().map(|line| (line.license_id.clone(), line.conversation_id)));
    let now = changes.iter().map(|change| change.known.changed_at).max().unwrap_or_default();
    for (license_id, conversation_id) in flipped {
        locked.record(&license_id, Subject::ConversationUpdated(conversation_id), now);
    }
    for line in &lines {
        let subject = Subject::ConversationEvent(line.conversation_id, line.event_id);
        locked.record(&line.license_id, subject, line.occurred_at);
    }
    Ok(())
}
