//! `ingest.message.received`: what people answer.
//!
//! A message appears only if it was sent to the number that is assigned to a license now, by somebody whose number is
//! tied to a person of that license (rule 8). Everything else is kept apart, except what comes from a number that the
//! license has blocked: of that nothing is kept. A message that the carrier repeats is one message. A number that texts
//! can receive texts, whatever a carrier said before (rule 12).
//! STOP, START and HELP are messages like any other, and change what is known of the number (rule 13). The carrier
//! answers them; nothing goes out from here.

use std::collections::BTreeSet;

use bus::{Classify, HandleError, Handler, Received};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    CarrierName, Conversation, Direction, Id, Keyword, LicenseId, Message, MessageStatus, PhoneNumber, count_segments,
    find_keyword,
};
use proto::conversations as wire;
use proto::{from_timestamp, ingest};
use sqlx::PgTransaction;

use super::not_applied;
use crate::model::{Spoken, plan_keywords};
use crate::push::Pusher;
use crate::store::conversations::{load_homes, record_activity, record_changes};
use crate::store::licenses::{self, FeedRange, Subject};
use crate::store::media;
use crate::store::messages::{self, NewMessage, Since};
use crate::store::unmatched::{self, Unmatched};
use crate::store::{StoreError, blocked, consents, links, textless};

#[derive(Debug)]
pub(crate) struct MessageReceived {
    pusher: Pusher,
}

impl MessageReceived {
    pub(crate) fn new(pusher: Pusher) -> Self {
        Self { pusher }
    }
}

/// A keyword that is told so long after it was texted may have been overtaken by another one.
const LATE: TimeDelta = TimeDelta::seconds(10);

/// An event with its parts read.
struct Arrival<'a> {
    event: &'a ingest::MessageReceived,
    is_late: bool,
    from: PhoneNumber,
    to: PhoneNumber,
    received_at: DateTime<Utc>,
    license_id: Option<LicenseId>,
}

/// A keyword, and by what to see whether its text is new.
struct Said<'a> {
    spoken: Spoken,
    event: &'a ingest::MessageReceived,
    is_late: bool,
    /// `None`: it is kept apart.
    message_id: Option<Id<Message>>,
}

impl Said<'_> {
    fn is_of_consent(&self) -> bool {
        self.spoken.keyword != Keyword::Help
    }

    /// From when on a later one counts more. `None`: it shows in no conversation.
    fn since(&self) -> Option<Since> {
        let Spoken { license_id, conversation_id, at, .. } = &self.spoken;
        Some(Since { license_id: license_id.clone(), conversation_id: (*conversation_id)?, at: *at })
    }
}

impl Handler for MessageReceived {
    type Event = ingest::MessageReceived;
    type Done = Vec<FeedRange>;

    async fn handle(
        &self,
        tx: &mut PgTransaction<'_>,
        events: &[Received<ingest::MessageReceived>],
    ) -> Result<Vec<FeedRange>, HandleError> {
        let mut arrivals = read(events)?;
        let to: BTreeSet<PhoneNumber> = arrivals.iter().map(|arrival| arrival.to).collect();
        let (mut locked, owners) =
            licenses::lock_by_number(tx, &to.into_iter().collect::<Vec<_>>()).await.map_err(not_applied)?;
        for arrival in &mut arrivals {
            arrival.license_id = owners.get(&arrival.to).cloned();
        }
        put_in_order(tx, &mut arrivals).await.map_err(not_applied)?;
        let numbers: BTreeSet<(LicenseId, PhoneNumber)> =
            arrivals.iter().filter_map(|arrival| Some((arrival.license_id.clone()?, arrival.from))).collect();
        let mut homes = load_homes(tx, &numbers).await.map_err(not_applied)?;

        let proven: BTreeSet<_> =
            numbers.into_iter().filter(|(license_id, number)| homes.is_textless(license_id, *number)).collect();
        let mut flipped = BTreeSet::new();
        let mut new = Vec::new();
        let mut apart = Vec::new();
        let mut said = Vec::new();
        // What a carrier's list told of is older than its event. The feed is in the order in which it came to us.
        let told = events.iter().map(|received| received.occurred_at);
        let now = arrivals.iter().map(|arrival| arrival.received_at).chain(told).max().unwrap_or_default();
        for arrival in arrivals {
            let home = arrival.license_id.as_ref().and_then(|license_id| {
                Some((license_id, homes.settle(license_id, arrival.from, arrival.received_at)?))
            });
            if let Some((license_id, conversation_id)) = home {
                if proven.contains(&(license_id.clone(), arrival.from)) {
                    flipped.insert((license_id.clone(), conversation_id));
                }
                let message = message(&arrival, license_id, conversation_id);
                said.extend(listen(&arrival, Some(&message)));
                new.push(message);
            } else {
                said.extend(listen(&arrival, None));
                apart.push(keep_apart(arrival));
            }
        }
        let blocked =
            blocked::list_blocked(tx, &apart.iter().filter_map(sender).collect()).await.map_err(not_applied)?;
        let all = apart.len();
        apart.retain(|each| !sender(each).is_some_and(|sender| blocked.contains(&sender)));
        metrics::counter!("conversations_blocked_total").increment((all - apart.len()) as u64);
        metrics::counter!("conversations_unmatched_total").increment(apart.len() as u64);
        let kept = unmatched::record(tx, &apart).await.map_err(not_applied)?;
        let told: BTreeSet<LicenseId> = apart
            .iter()
            .filter(|each| kept.contains(&(each.carrier.clone(), each.carrier_message_id.clone())))
            .filter_map(|each| each.license_id.clone())
            .collect();
        if !proven.is_empty() {
            textless::remove(tx, &proven, None).await.map_err(not_applied)?;
        }
        record_changes(tx, &homes.changes, now).await.map_err(not_applied)?;
        flipped.append(&mut links::follow_changes(tx, &homes.changes, now).await.map_err(not_applied)?);
        if !new.is_empty() {
            let unseen = messages::record_new(tx, &new).await.map_err(not_applied)?;
            new.retain(|each| unseen.contains(&each.message_id));
            media::record(tx, &new).await.map_err(not_applied)?;
        }
        // What the carrier repeats was heard before. What is wanted at a number counts also when it is blocked.
        let unseen: BTreeSet<Id<Message>> = new.iter().map(|each| each.message_id).collect();
        said.retain(|each| match each.message_id {
            Some(id) => unseen.contains(&id),
            None => {
                kept.contains(&(each.event.carrier.clone(), each.event.carrier_message_id.clone()))
                    || blocked.contains(&(each.spoken.license_id.clone(), each.spoken.number))
            }
        });
        drop_overtaken(tx, &mut said).await.map_err(not_applied)?;
        let heard = plan_keywords(&mut homes, said.into_iter().map(|each| each.spoken).collect());
        consents::record(tx, &heard.changes).await.map_err(not_applied)?;
        consents::record_lines(tx, &heard.lines).await.map_err(not_applied)?;
        flipped.append(&mut homes.changes.touched());
        for change in &heard.changes {
            let open = homes.find_open(&change.license_id, change.number);
            flipped.extend(open.map(|conversation_id| (change.license_id.clone(), conversation_id)));
        }
        for (license_id, conversation_id) in flipped {
            locked.record(&license_id, Subject::ConversationUpdated(conversation_id), now);
        }
        if !new.is_empty() {
            let seqs = locked.record_late_messages(&new, now);
            record_activity(tx, &new, &seqs).await.map_err(not_applied)?;
        }
        for line in &heard.lines {
            let subject = Subject::ConversationEvent(line.conversation_id, line.event_id);
            locked.record(&line.license_id, subject, now);
        }
        for license_id in told {
            locked.record(&license_id, Subject::UnmatchedUpdated, now);
        }
        locked.write(tx).await.map_err(not_applied)
    }

    async fn committed(&self, ranges: Vec<FeedRange>) {
        self.pusher.push(ranges);
    }
}

/// In the order in which they were sent: messages of one batch show so.
fn read(events: &[Received<ingest::MessageReceived>]) -> Result<Vec<Arrival<'_>>, HandleError> {
    let mut arrivals = Vec::with_capacity(events.len());
    for Received { event, occurred_at, .. } in events {
        let received_at = from_timestamp(event.received_at).permanent()?;
        arrivals.push(Arrival {
            event,
            is_late: *occurred_at - received_at > LATE,
            from: PhoneNumber::from_e164(&event.from).permanent()?,
            to: PhoneNumber::from_e164(&event.to).permanent()?,
            received_at,
            license_id: None,
        });
    }
    arrivals.sort_by_key(|arrival| arrival.received_at);
    Ok(arrivals)
}

/// What is known to have been texted after another one is not shown before it: the times of carriers' lists are whole
/// seconds, and a webhook may have been repeated.
async fn put_in_order(tx: &mut PgTransaction<'_>, arrivals: &mut [Arrival<'_>]) -> Result<(), StoreError> {
    let followed: Vec<(LicenseId, &str)> = arrivals
        .iter()
        .filter_map(|arrival| Some((arrival.license_id.clone()?, arrival.event.follows.as_deref()?)))
        .collect();
    if followed.is_empty() {
        return Ok(());
    }
    let mut shown = messages::list_received_at(tx, &followed).await?;
    for arrival in arrivals {
        let Some(license_id) = arrival.license_id.clone() else { continue };
        if let Some(follows) = arrival.event.follows.clone()
            && let Some(before) = shown.get(&(license_id.clone(), follows))
        {
            arrival.received_at = arrival.received_at.max(*before + TimeDelta::microseconds(1));
        }
        shown.entry((license_id, arrival.event.carrier_message_id.clone())).or_insert(arrival.received_at);
    }
    Ok(())
}

fn message(arrival: &Arrival<'_>, license_id: &LicenseId, conversation_id: Id<Conversation>) -> NewMessage {
    NewMessage {
        license_id: license_id.clone(),
        message_id: Id::new(),
        conversation_id,
        direction: Direction::Inbound,
        body: arrival.event.body.clone(),
        media: media_of(arrival.event),
        from: Some(arrival.from),
        to: arrival.to,
        manager: None,
        batch_id: None,
        status: MessageStatus::Received,
        segments: i32::try_from(count_segments(&arrival.event.body).segments).unwrap_or(i32::MAX),
        carrier: Some(arrival.event.carrier.clone()),
        carrier_message_id: Some(arrival.event.carrier_message_id.clone()),
        created_at: arrival.received_at,
    }
}

/// The keyword that a text is, if its carrier is one whose words are known. Of no license: nobody's business.
fn listen<'a>(arrival: &Arrival<'a>, message: Option<&NewMessage>) -> Option<Said<'a>> {
    let keyword: Keyword = find_keyword(arrival.event.carrier.parse().ok()?, &arrival.event.body)?;
    let spoken = Spoken {
        license_id: arrival.license_id.clone()?,
        number: arrival.from,
        keyword,
        conversation_id: message.map(|message| message.conversation_id),
        at: arrival.received_at,
    };
    Some(Said {
        spoken,
        event: arrival.event,
        is_late: arrival.is_late,
        message_id: message.map(|message| message.message_id),
    })
}

/// Of a STOP and a START the one counts that was texted last, in whatever order they are told: saying again what holds already
/// leaves no trace but its text.
async fn drop_overtaken(tx: &mut PgTransaction<'_>, said: &mut Vec<Said<'_>>) -> Result<(), StoreError> {
    let late: Vec<&Said<'_>> = said.iter().filter(|each| each.is_late && each.is_of_consent()).collect();
    let since: Vec<Since> = late.iter().filter_map(|each| each.since()).collect();
    if since.is_empty() {
        return Ok(());
    }
    let mut overtaken = BTreeSet::new();
    for (since, body) in messages::list_short_texts(tx, since).await? {
        // Words of any carrier: the number may have come to the license from another one.
        let mut keywords = CarrierName::ALL.iter().filter_map(|carrier| find_keyword(*carrier, &body));
        if keywords.any(|keyword| keyword != Keyword::Help) {
            overtaken.insert(since);
        }
    }
    said.retain(|each| !each.is_of_consent() || !each.since().is_some_and(|since| overtaken.contains(&since)));
    Ok(())
}

fn keep_apart(arrival: Arrival<'_>) -> Unmatched {
    Unmatched {
        id: Id::new(),
        carrier: arrival.event.carrier.clone(),
        carrier_message_id: arrival.event.carrier_message_id.clone(),
        license_id: arrival.license_id,
        from: arrival.from,
        to: arrival.to,
        body: arrival.event.body.clone(),
        media: media_of(arrival.event),
        received_at: arrival.received_at,
    }
}

/// Who sent it, as a license sees it.
fn sender(apart: &Unmatched) -> Option<(LicenseId, PhoneNumber)> {
    Some((apart.license_id.clone()?, apart.from))
}

fn media_of(event: &ingest::MessageReceived) -> Vec<wire::Media> {
    let media = event.media.iter();
    media
        .map(|each| wire::Media {
            url: each.url.clone(),
            content_type: each.content_type.clone(),
            ..Default::default()
        })
        .collect()
}
