//! `UnmatchedService`: messages of senders whom nobody knows (rule 8). Blocking is in `blocked.rs`.
//!
//! Tying a sender moves what is kept of him into the conversation of his number, in one transaction. A plain change of a
//! person's numbers moves nothing: only here somebody has looked at what he wrote.

use std::collections::BTreeSet;

use chassis::Fault;
use chrono::{DateTime, Utc};
use domain::{
    ConsentSource, Conversation as ConversationOf, Direction, Id, LicenseId, MessageStatus, PersonId, PhoneNumber,
    Unmatched as UnmatchedOf, count_segments, find_keyword,
};
use proto::conversations::unmatched_service_server::UnmatchedService;
use proto::conversations::{
    BlockNumberRequest, BlockedNumber, ListBlockedNumbersRequest, ListBlockedNumbersResponse, ListUnmatchedRequest,
    ListUnmatchedResponse, TieUnmatchedRequest, TieUnmatchedResponse, UnblockNumberRequest, UnblockNumberResponse,
};
use tonic::{Request, Response, Status};

use super::cursor::{find_moment, write_moment};
use super::people::MAX_PHONES;
use super::{Context, blocked, page_of, parse_license_id, parse_limit};
use crate::error;
use crate::model::{ConsentChange, Homes, Line};
use crate::store::licenses::{self, Subject};
use crate::store::messages::{self, NewMessage};
use crate::store::unmatched::{self, Unmatched};
use crate::store::{StoreError, Tx, consents, conversations, links, media, people};

#[tonic::async_trait]
impl UnmatchedService for Context {
    async fn list_unmatched(
        &self,
        request: Request<ListUnmatchedRequest>,
    ) -> Result<Response<ListUnmatchedResponse>, Status> {
        Ok(Response::new(list_unmatched(self, &request.into_inner()).await?))
    }

    async fn tie_unmatched(
        &self,
        request: Request<TieUnmatchedRequest>,
    ) -> Result<Response<TieUnmatchedResponse>, Status> {
        Ok(Response::new(tie_unmatched(self, &request.into_inner()).await?))
    }

    async fn block_number(&self, request: Request<BlockNumberRequest>) -> Result<Response<BlockedNumber>, Status> {
        Ok(Response::new(blocked::block_number(self, request.into_inner()).await?))
    }

    async fn list_blocked_numbers(
        &self,
        request: Request<ListBlockedNumbersRequest>,
    ) -> Result<Response<ListBlockedNumbersResponse>, Status> {
        Ok(Response::new(blocked::list_blocked_numbers(self, &request.into_inner()).await?))
    }

    async fn unblock_number(
        &self,
        request: Request<UnblockNumberRequest>,
    ) -> Result<Response<UnblockNumberResponse>, Status> {
        blocked::unblock_number(self, &request.into_inner()).await?;
        Ok(Response::new(UnblockNumberResponse {}))
    }
}

async fn list_unmatched(context: &Context, request: &ListUnmatchedRequest) -> Result<ListUnmatchedResponse, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let limit = parse_limit(request.limit, 200)?;
    let after = find_moment(&request.cursor)?;
    let mut connection = context.connection().await?;
    let (page, last) = page_of(unmatched::list(&mut connection, &license_id, after, limit + 1).await?, limit);
    Ok(ListUnmatchedResponse {
        messages: page.into_iter().map(|(_, message)| message).collect(),
        next_cursor: last.map(|(moment, _)| write_moment(moment)).unwrap_or_default(),
    })
}

async fn tie_unmatched(context: &Context, request: &TieUnmatchedRequest) -> Result<TieUnmatchedResponse, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    // Ids that cannot be any name nothing.
    let id: Id<UnmatchedOf> = request.unmatched_id.parse().map_err(|_| error::unmatched_not_found())?;
    let person_id = PersonId::parse(request.person_id.as_str()).map_err(|_| error::person_not_found())?;
    let now = context.clock.now();

    let mut tx = context.begin().await?;
    let mut locked = licenses::lock(&mut tx, [license_id.clone()]).await?;
    let number = unmatched::find_sender(&mut tx, &license_id, id).await?.ok_or_else(error::unmatched_not_found)?;
    let turned = tie(&mut tx, &license_id, &person_id, number, now).await?;
    let taken = unmatched::take(&mut tx, &license_id, number).await?;

    let mut homes = conversations::load_homes(&mut tx, &BTreeSet::from([(license_id.clone(), number)])).await?;
    // It opens with the oldest message, as it would have if the sender had been known.
    let opened_at = taken.first().map_or(now, |oldest| oldest.received_at);
    let home = homes.settle(&license_id, number, opened_at).ok_or_else(Fault::internal)?;
    conversations::record_changes(&mut tx, &homes.changes, now).await?;
    let mut shown = homes.changes.touched();
    shown.insert((license_id.clone(), home));
    if let Some(turned) = &turned {
        shown.append(&mut links::follow_ties(&mut tx, &license_id, turned, now).await?);
        shown.extend(turned.iter().map(|id| (license_id.clone(), *id)));
    }
    shown.append(&mut links::follow_changes(&mut tx, &homes.changes, now).await?);

    let line = find_line(&homes, &license_id, number, home, &taken);
    let mut new: Vec<NewMessage> = taken.into_iter().map(|each| message(each, &license_id, home)).collect();
    let unseen = messages::record_new(&mut tx, &new).await?;
    new.retain(|each| unseen.contains(&each.message_id));
    media::record(&mut tx, &new).await?;
    consents::record_lines(&mut tx, line.as_slice()).await?;

    if turned.is_some() {
        locked.record(&license_id, Subject::PersonUpdated(person_id), now);
    }
    for (license_id, conversation_id) in shown {
        locked.record(&license_id, Subject::ConversationUpdated(conversation_id), now);
    }
    let seqs = locked.record_late_messages(&new, now);
    conversations::record_activity(&mut tx, &new, &seqs).await?;
    if let Some(line) = line {
        locked.record(&license_id, Subject::ConversationEvent(home, line.event_id), now);
    }
    locked.record(&license_id, Subject::UnmatchedUpdated, now);
    let ranges = locked.write(&mut tx).await?;
    let conversation = conversations::load(&mut tx, &[(license_id, home.uuid())]).await?.remove(&home.uuid());
    tx.commit().await.map_err(StoreError::from)?;
    context.pusher.push(ranges);
    Ok(TieUnmatchedResponse { conversation, messages: u32::try_from(new.len()).unwrap_or(u32::MAX) })
}

/// Adds the number to the person's, in the last place. Returns the conversations that this made writable. `None`: the
/// number was the person's already.
async fn tie(
    tx: &mut Tx<'_>,
    license_id: &LicenseId,
    person_id: &PersonId,
    number: PhoneNumber,
    now: DateTime<Utc>,
) -> Result<Option<Vec<Id<ConversationOf>>>, Fault> {
    let known = people::load_details(tx, license_id, [person_id]).await?.remove(person_id);
    let mut numbers = known.ok_or_else(error::person_not_found)?.numbers;
    if numbers.contains(&number) {
        return Ok(None);
    }
    if numbers.len() >= MAX_PHONES {
        return Err(error::too_many_phones(MAX_PHONES));
    }
    numbers.push(number);
    let moved = [(person_id, number)];
    people::record_ties(tx, license_id, [(person_id, numbers.as_slice())], &moved, now).await?;
    Ok(Some(conversations::list_of_ties(tx, license_id, &moved).await?))
}

/// The line of the keyword that holds for the number now, if it is among these messages. It was heard when it came and
/// there was no conversation to show it in.
fn find_line(
    homes: &Homes,
    license_id: &LicenseId,
    number: PhoneNumber,
    home: Id<ConversationOf>,
    taken: &[Unmatched],
) -> Option<Line> {
    let known = homes.find_consent(license_id, number).filter(|known| known.source == ConsentSource::Keyword)?;
    let said = |each: &Unmatched| {
        let keyword = each.carrier.parse().ok().and_then(|carrier| find_keyword(carrier, &each.body));
        keyword.is_some() && each.received_at == known.changed_at
    };
    let change = ConsentChange { license_id: license_id.clone(), number, known, note: None };
    taken.iter().any(said).then(|| change.line(home))
}

fn message(taken: Unmatched, license_id: &LicenseId, conversation_id: Id<ConversationOf>) -> NewMessage {
    NewMessage {
        license_id: license_id.clone(),
        message_id: Id::from_uuid(taken.id.uuid()),
        conversation_id,
        direction: Direction::Inbound,
        segments: i32::try_from(count_segments(&taken.body).segments).unwrap_or(i32::MAX),
        body: taken.body,
        media: taken.media,
        from: Some(taken.from),
        to: taken.to,
        manager: None,
        batch_id: None,
        status: MessageStatus::Received,
        carrier: Some(taken.carrier),
        carrier_message_id: Some(taken.carrier_message_id),
        created_at: taken.received_at,
    }
}
