//! `ingest.message.received`: what people answer.
//!
//! A message appears only if it was sent to the number that is assigned to a license now, by somebody whose number is
//! tied to a person of that license (rule 8). Everything else is kept apart. A message that the carrier repeats is
//! one message. A number that texts can receive texts, whatever a carrier said before (rule 12).

use std::collections::BTreeSet;

use bus::{Classify, HandleError, Handler, Received};
use chrono::{DateTime, Utc};
use domain::{Conversation, Direction, Id, LicenseId, MessageStatus, PhoneNumber, count_segments};
use proto::conversations as wire;
use proto::{from_timestamp, ingest};
use sqlx::PgTransaction;

use super::not_applied;
use crate::push::Pusher;
use crate::store::conversations::{load_homes, record_activity, record_changes};
use crate::store::licenses::{self, FeedRange, Subject};
use crate::store::messages::{self, NewMessage};
use crate::store::textless;
use crate::store::unmatched::{self, Unmatched};

#[derive(Debug)]
pub(crate) struct MessageReceived {
    pusher: Pusher,
}

impl MessageReceived {
    pub(crate) fn new(pusher: Pusher) -> Self {
        Self { pusher }
    }
}

/// An event with its parts read.
struct Arrival<'a> {
    event: &'a ingest::MessageReceived,
    from: PhoneNumber,
    to: PhoneNumber,
    received_at: DateTime<Utc>,
    license_id: Option<LicenseId>,
}

impl Handler for MessageReceived {
    type Event = ingest::MessageReceived;
    type Done = Vec<FeedRange>;

    async fn handle(
        &self,
        tx: &mut PgTransaction<'_>,
        events: &[Received<ingest::MessageReceived>],
    ) -> Result<Vec<FeedRange>, HandleError> {
        let mut arrivals = Vec::with_capacity(events.len());
        for Received { event, .. } in events {
            arrivals.push(Arrival {
                event,
                from: PhoneNumber::from_e164(&event.from).permanent()?,
                to: PhoneNumber::from_e164(&event.to).permanent()?,
                received_at: from_timestamp(event.received_at).permanent()?,
                license_id: None,
            });
        }
        // Messages of one batch show in the order in which they came.
        arrivals.sort_by_key(|arrival| arrival.received_at);
        let to: BTreeSet<PhoneNumber> = arrivals.iter().map(|arrival| arrival.to).collect();
        let (mut locked, owners) =
            licenses::lock_by_number(tx, &to.into_iter().collect::<Vec<_>>()).await.map_err(not_applied)?;
        for arrival in &mut arrivals {
            arrival.license_id = owners.get(&arrival.to).cloned();
        }
        let numbers: BTreeSet<(LicenseId, PhoneNumber)> =
            arrivals.iter().filter_map(|arrival| Some((arrival.license_id.clone()?, arrival.from))).collect();
        let mut homes = load_homes(tx, &numbers).await.map_err(not_applied)?;

        let proven: BTreeSet<_> =
            numbers.into_iter().filter(|(license_id, number)| homes.is_textless(license_id, *number)).collect();
        let mut writable = BTreeSet::new();
        let mut new = Vec::new();
        let mut apart = Vec::new();
        for arrival in arrivals {
            let home = arrival.license_id.as_ref().and_then(|license_id| {
                Some((license_id, homes.settle(license_id, arrival.from, arrival.received_at)?))
            });
            match home {
                Some((license_id, conversation_id)) => {
                    if proven.contains(&(license_id.clone(), arrival.from)) {
                        writable.insert((license_id.clone(), conversation_id));
                    }
                    new.push(message(&arrival, license_id, conversation_id));
                }
                None => apart.push(keep_apart(arrival)),
            }
        }
        metrics::counter!("conversations_unmatched_total").increment(apart.len() as u64);
        unmatched::record(tx, &apart).await.map_err(not_applied)?;
        if !proven.is_empty() {
            textless::remove(tx, &proven, None).await.map_err(not_applied)?;
        }
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let now = new.iter().map(|each| each.created_at).max().unwrap_or_default();
        record_changes(tx, &homes.changes, now).await.map_err(not_applied)?;
        let unseen = messages::record_new(tx, &new).await.map_err(not_applied)?;
        new.retain(|each| unseen.contains(&each.message_id));
        record_activity(tx, &new).await.map_err(not_applied)?;
        writable.append(&mut homes.changes.touched());
        for (license_id, conversation_id) in writable {
            locked.record(&license_id, Subject::ConversationUpdated(conversation_id), now);
        }
        for each in &new {
            let subject = Subject::MessageCreated(each.conversation_id, each.message_id);
            locked.record(&each.license_id, subject, each.created_at);
        }
        locked.write(tx).await.map_err(not_applied)
    }

    async fn committed(&self, ranges: Vec<FeedRange>) {
        self.pusher.push(ranges);
    }
}

fn message(arrival: &Arrival<'_>, license_id: &LicenseId, conversation_id: Id<Conversation>) -> NewMessage {
    NewMessage {
        license_id: license_id.clone(),
        message_id: Id::new(),
        conversation_id,
        direction: Direction::Inbound,
        body: arrival.event.body.clone(),
        media: media(arrival.event),
        from: Some(arrival.from),
        to: arrival.to,
        manager: None,
        batch_id: None,
        status: MessageStatus::Received,
        segments: i32::try_from(count_segments(&arrival.event.body).segments).unwrap_or(i32::MAX),
        carrier_message_id: Some(arrival.event.carrier_message_id.clone()),
        created_at: arrival.received_at,
    }
}

fn keep_apart(arrival: Arrival<'_>) -> Unmatched {
    Unmatched {
        carrier: arrival.event.carrier.clone(),
        carrier_message_id: arrival.event.carrier_message_id.clone(),
        license_id: arrival.license_id,
        from: arrival.from,
        to: arrival.to,
        body: arrival.event.body.clone(),
        media: media(arrival.event),
        received_at: arrival.received_at,
    }
}

fn media(event: &ingest::MessageReceived) -> Vec<wire::Media> {
    let media = event.media.iter();
    media.map(|each| wire::Media { url: each.url.clone(), content_type: each.content_type.clone() }).collect()
}
