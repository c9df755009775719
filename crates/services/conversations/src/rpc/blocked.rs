//! Numbers of which a license keeps nothing while they are tied to nobody (rule 8).

use std::collections::BTreeSet;

use chassis::Fault;
use domain::{BlockedNumber as BlockedNumberOf, Id, PhoneNumber, Unmatched as UnmatchedOf};
use proto::conversations::block_number_request::Which;
use proto::conversations::{
    BlockNumberRequest, BlockedNumber, ListBlockedNumbersRequest, ListBlockedNumbersResponse, UnblockNumberRequest,
};

use super::cursor::{find_moment, write_moment};
use super::{Context, page_of, parse_license_id, parse_limit, parse_manager};
use crate::error;
use crate::store::blocked::NewBlock;
use crate::store::licenses::{self, Subject};
use crate::store::{StoreError, blocked, conversations, unmatched};

/// What the caller names.
enum Named {
    SenderOf(Id<UnmatchedOf>),
    Number(PhoneNumber),
}

pub(super) async fn block_number(context: &Context, request: BlockNumberRequest) -> Result<BlockedNumber, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let (manager_id, manager_name) = parse_manager(request.manager)?;
    let named = parse_named(request.which)?;
    let now = context.clock.now();

    let mut tx = context.begin().await?;
    let mut locked = licenses::lock(&mut tx, [license_id.clone()]).await?;
    let (number, unmatched_id) = match named {
        Named::Number(number) => (number, None),
        Named::SenderOf(id) => {
            let Some(number) = unmatched::find_sender(&mut tx, &license_id, id).await? else {
                // It went with the first call.
                let block = blocked::find_by_message(&mut tx, &license_id, id).await?;
                return block.ok_or_else(error::unmatched_not_found);
            };
            (number, Some(id))
        }
    };
    let homes = conversations::load_homes(&mut tx, &BTreeSet::from([(license_id.clone(), number)])).await?;
    if !homes.find_people(&license_id, number).0.is_empty() {
        return Err(error::number_is_tied());
    }
    let block = NewBlock {
        license_id: license_id.clone(),
        blocked_id: Id::new(),
        number,
        manager_id,
        manager_name: manager_name.as_str().to_owned(),
        unmatched_id,
        blocked_at: now,
    };
    let block = blocked::record(&mut tx, &block).await?;
    if unmatched::remove(&mut tx, &license_id, number).await? {
        locked.record(&license_id, Subject::UnmatchedUpdated, now);
    }
    let ranges = locked.write(&mut tx).await?;
    tx.commit().await.map_err(StoreError::from)?;
    context.pusher.push(ranges);
    Ok(block)
}

fn parse_named(which: Option<Which>) -> Result<Named, Fault> {
    match which {
        Some(Which::UnmatchedId(id)) => id.parse().map(Named::SenderOf).map_err(|_| error::unmatched_not_found()),
        Some(Which::Number(number)) => PhoneNumber::parse(&number)
            .map(Named::Number)
            .map_err(|invalid| Fault::invalid("number", invalid.code(), format!("{invalid}."))),
        None => Err(Fault::invalid("number", "missing_field", "Name a number or a message of its sender.")),
    }
}

pub(super) async fn list_blocked_numbers(
    context: &Context,
    request: &ListBlockedNumbersRequest,
) -> Result<ListBlockedNumbersResponse, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let limit = parse_limit(request.limit, 200)?;
    let after = find_moment(&request.cursor)?;
    let mut connection = context.connection().await?;
    let (page, last) = page_of(blocked::list(&mut connection, &license_id, after, limit + 1).await?, limit);
    Ok(ListBlockedNumbersResponse {
        numbers: page.into_iter().map(|(_, number)| number).collect(),
        next_cursor: last.map(|(moment, _)| write_moment(moment)).unwrap_or_default(),
    })
}

pub(super) async fn unblock_number(context: &Context, request: &UnblockNumberRequest) -> Result<(), Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    // An id that cannot be one of ours names no block, and then there is none.
    let Ok(id) = request.blocked_id.parse::<Id<BlockedNumberOf>>() else { return Ok(()) };
    Ok(blocked::remove(&context.pool, &license_id, id).await?)
}
