//! Consent (rule 13): what a manager notes for a person, and the lines that tell of it.
//!
//! People revoke in their own words, on the phone or in a sentence; no list of keywords finds that. A manager may also
//! lift what a keyword or a carrier set. That says what we know, not what the carrier does: while the number stands on
//! the carrier's own list, the next text is refused there, and the number is opted out again.

use std::collections::BTreeSet;

use chassis::Fault;
use domain::{ConsentReason, ConsentSource, Conversation as ConversationOf, Id, LicenseId};
use proto::conversations::{ListConversationEventsRequest, ListConversationEventsResponse, PutConsentRequest};
use uuid::Uuid;

use super::cursor::{find_moment, write_moment};
use super::{Context, page_of, parse_license_id, parse_limit, parse_manager};
use crate::error;
use crate::model::{ConsentChange, KnownConsent, Note, decide_consent};
use crate::store::licenses::{self, Subject};
use crate::store::{StoreError, consents, conversations};

/// Notes what a manager says. What holds already is not noted again.
pub(super) async fn put_consent(context: &Context, request: PutConsentRequest) -> Result<(), Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let (manager_id, manager_name) = parse_manager(request.manager)?;
    let reason = ConsentReason::parse(&request.reason)
        .map_err(|invalid| Fault::invalid("reason", invalid.code(), format!("{invalid}.")))?;
    let id: Id<ConversationOf> = request.conversation_id.parse().map_err(|_| error::conversation_not_found())?;
    let now = context.clock.now();

    let mut tx = context.begin().await?;
    let mut locked = licenses::lock(&mut tx, [license_id.clone()]).await?;
    let numbers = conversations::list_numbers(&mut tx, &license_id, &[id.uuid()]).await?;
    let number = *numbers.get(&id).ok_or_else(error::conversation_not_found)?;
    let homes = conversations::load_homes(&mut tx, &BTreeSet::from([(license_id.clone(), number)])).await?;
    // The number may be a stranger's by now. What the people of this conversation want says nothing about theirs.
    if !homes.is_tied(&license_id, number, id) {
        return Err(error::number_no_longer_tied());
    }
    let said = KnownConsent { opted_out: request.opted_out, source: ConsentSource::Manager, changed_at: now };
    if !decide_consent(homes.find_consent(&license_id, number), said) {
        return Ok(());
    }
    let note = Note { manager_id, manager_name: manager_name.as_str().to_owned(), reason };
    let change = ConsentChange { license_id: license_id.clone(), number, known: said, note: Some(note) };
    let line = change.line(id);
    consents::record(&mut tx, &[change]).await?;
    consents::record_lines(&mut tx, std::slice::from_ref(&line)).await?;
    locked.record(&license_id, Subject::ConversationUpdated(id), now);
    locked.record(&license_id, Subject::ConversationEvent(id, line.event_id), now);
    let ranges = locked.write(&mut tx).await?;
    tx.commit().await.map_err(StoreError::from)?;
    context.pusher.push(ranges);
    Ok(())
}

pub(super) async fn list_events(
    context: &Context,
    request: &ListConversationEventsRequest,
) -> Result<ListConversationEventsResponse, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let limit = parse_limit(request.limit, 200)?;
    let after = find_moment(&request.cursor)?;
    let id = Uuid::try_parse(&request.conversation_id).map_err(|_| error::conversation_not_found())?;
    let mut connection = context.connection().await?;
    if !conversations::exists(&mut connection, &license_id, id).await? {
        return Err(error::conversation_not_found());
    }
    let moments = consents::list_line_moments(&mut connection, &license_id, id, after, limit + 1).await?;
    let (moments, last) = page_of(moments, limit);
    let wanted: Vec<(LicenseId, Uuid)> = moments.iter().map(|moment| (license_id.clone(), moment.id)).collect();
    let mut found = consents::load_lines(&mut connection, &wanted).await?;
    Ok(ListConversationEventsResponse {
        events: moments.into_iter().filter_map(|moment| found.remove(&moment.id)).collect(),
        next_cursor: last.map(write_moment).unwrap_or_default(),
    })
}
