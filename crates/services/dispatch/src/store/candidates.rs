//! What waits in lanes that have their turn, read and locked: the first of each lane, those behind that go to other networks,
//! and those behind that are to be held.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use domain::Network;
use sqlx::PgTransaction;
use uuid::Uuid;

use super::holds::NewHold;
use super::limits::{Buckets, read_network};
use super::turn::{Candidate, Lane, Turn};
use crate::error::StoreError;
use crate::model::{LimitTree, Line};

/// Where something of a lane had to be held, so many of those behind it are looked at in the same turn: ten thousand that
/// wait for the morning take some turns, not ten thousand.
const LOOK_AHEAD: i64 = 500;

/// What waits in these lanes, in order: of each lane as much as it may take, and one more that tells whether there is more.
/// What follows a message that is not over is passed over. By license. What is known of their lines comes with them: one
/// look into an index for each.
pub async fn lock_candidates(
    tx: &mut PgTransaction<'_>,
    lanes: &[Lane],
    now: DateTime<Utc>,
) -> Result<HashMap<String, Vec<Candidate>>, StoreError> {
    let licenses: Vec<String> = lanes.iter().map(|lane| lane.license_id.to_string()).collect();
    let most: Vec<i64> = lanes.iter().map(|lane| one_more(lane.most)).collect();
    let rows = sqlx::query_as!(
        CandidateRow,
        r#"select waiting.license_id, waiting.message_id, waiting.to_number, waiting.body as "body!",
                  waiting.media_urls, waiting.segments, waiting.tries, waiting.priority, waiting.position,
                  waiting.network, waiting.follows is not null as "is_follower!", line.cannot_receive_sms as "cannot_receive_sms?", line.network as "line_network?"
           from unnest($1::text[], $2::bigint[]) as lane (license_id, most)
           cross join lateral (
             select * from deliveries
             where deliveries.license_id = lane.license_id and deliveries.state = 'waiting'
               and not (deliveries.follows is not null and (
                 exists (
                   select from deliveries as first
                   where (first.license_id, first.message_id) = (deliveries.license_id, deliveries.follows)
                     and first.state in ('waiting', 'held', 'attempting', 'unknown'))
                 or deliveries.follows_until > $3 and not exists (
                   select from deliveries as first
                   where (first.license_id, first.message_id) = (deliveries.license_id, deliveries.follows))))
             order by deliveries.priority, deliveries.position
             limit lane.most
             for update
           ) as waiting
           left join lines as line on line.number = waiting.to_number and line.known_until > $3"#,
        &licenses,
        &most,
        now,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(by_license(rows))
}

/// A candidate as it is stored.
struct CandidateRow {
    license_id: String,
    message_id: Uuid,
    to_number: String,
    body: String,
    media_urls: Vec<String>,
    segments: i32,
    tries: i32,
    priority: i16,
    position: i64,
    network: Option<String>,
    is_follower: bool,
    cannot_receive_sms: Option<bool>,
    line_network: Option<String>,
}

fn by_license(rows: Vec<CandidateRow>) -> HashMap<String, Vec<Candidate>> {
    let mut by_license: HashMap<String, Vec<Candidate>> = HashMap::new();
    for row in rows {
        let line_network = row.line_network.as_deref().or(row.network.as_deref());
        by_license.entry(row.license_id).or_default().push(Candidate {
            message_id: row.message_id,
            network: read_network(line_network),
            stored_network: row.network.as_deref().map(|network| read_network(Some(network))),
            to_number: row.to_number,
            body: row.body,
            media_urls: row.media_urls,
            segments: u32::try_from(row.segments).unwrap_or(1),
            tries: row.tries,
            line: row.cannot_receive_sms.map(Line::from_stored),
            order: (row.priority, row.position),
            is_follower: row.is_follower,
        });
    }
    by_license
}

fn one_more(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX - 1) + 1
}

/// What stands behind those whose network is stopped, to each other network as much as the lane may take.
pub async fn lock_other_networks(
    tx: &mut PgTransaction<'_>,
    turns: &mut [Turn<'_>],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let (mut licenses, mut networks, mut most) = (Vec::new(), Vec::new(), Vec::new());
    for turn in turns.iter().filter(|turn| turn.wants_other_networks()) {
        for network in Network::ALL.iter().filter(|network| !turn.stopped.contains_key(network)) {
            licenses.push(turn.lane.license_id.to_string());
            networks.push(network.as_str());
            most.push(one_more(turn.lane.most + turn.seen()));
        }
    }
    let rows = sqlx::query_as!(
        CandidateRow,
        r#"select waiting.license_id, waiting.message_id, waiting.to_number, waiting.body as "body!",
                  waiting.media_urls, waiting.segments, waiting.tries, waiting.priority, waiting.position,
                  waiting.network, waiting.follows is not null as "is_follower!", line.cannot_receive_sms as "cannot_receive_sms?", line.network as "line_network?"
           from unnest($1::text[], $2::text[], $3::bigint[]) as lane (license_id, network, most)
           cross join lateral (
             select * from deliveries
             where deliveries.license_id = lane.license_id and deliveries.state = 'waiting'
               and deliveries.network = lane.network
               and not (deliveries.follows is not null and (
                 exists (
                   select from deliveries as first
                   where (first.license_id, first.message_id) = (deliveries.license_id, deliveries.follows)
                     and first.state in ('waiting', 'held', 'attempting', 'unknown'))
                 or deliveries.follows_until > $4 and not exists (
                   select from deliveries as first
                   where (first.license_id, first.message_id) = (deliveries.license_id, deliveries.follows))))
             order by deliveries.priority, deliveries.position
             limit lane.most
             for update
           ) as waiting
           left join lines as line on line.number = waiting.to_number and line.known_until > $4"#,
        &licenses,
        networks.as_slice() as _,
        &most,
        now,
    )
    .fetch_all(&mut **tx)
    .await?;
    let mut others = by_license(rows);
    for turn in turns.iter_mut().filter(|turn| turn.wants_other_networks()) {
        turn.add_other_networks(others.remove(turn.lane.license_id.as_str()).unwrap_or_default());
    }
    Ok(())
}

/// What a lookup has told since a message came is kept with it, so that it is found by it.
pub async fn mark_networks(tx: &mut PgTransaction<'_>, turns: &[Turn<'_>]) -> sqlx::Result<()> {
    let limited = turns.iter().filter(|turn| turn.lane.is_limited);
    let stale: Vec<(&str, &Candidate)> = limited
        .flat_map(|turn| turn.waiting.iter().map(|candidate| (turn.lane.license_id.as_str(), candidate)))
        .filter(|(_, candidate)| candidate.stored_network != Some(candidate.network))
        .collect();
    if stale.is_empty() {
        return Ok(());
    }
    let licenses: Vec<&str> = stale.iter().map(|(license_id, _)| *license_id).collect();
    let messages: Vec<Uuid> = stale.iter().map(|(_, candidate)| candidate.message_id).collect();
    let networks: Vec<&str> = stale.iter().map(|(_, candidate)| candidate.network.as_str()).collect();
    sqlx::query!(
        "update deliveries set network = known.network
         from unnest($1::text[], $2::uuid[], $3::text[]) as known (license_id, message_id, network)
         where (deliveries.license_id, deliveries.message_id) = (known.license_id, known.message_id)",
        licenses.as_slice() as _,
        &messages,
        networks.as_slice() as _,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What is to be held of those behind in these lanes' turns. What goes in them is not behind.
pub async fn lock_ahead(
    tx: &mut PgTransaction<'_>,
    turns: &[&Turn<'_>],
    buckets: &Buckets,
    limits: &LimitTree,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<NewHold>> {
    let lanes: HashMap<&str, &Lane> = turns.iter().map(|turn| (turn.lane.license_id.as_str(), turn.lane)).collect();
    let go: HashSet<Uuid> = turns.iter().flat_map(|turn| turn.go.iter().map(|each| each.message_id)).collect();
    let licenses: Vec<&str> = turns.iter().map(|turn| turn.lane.license_id.as_str()).collect();
    let rows = sqlx::query!(
        r#"select waiting.license_id, waiting.message_id, waiting.priority, waiting.to_number, waiting.segments,
                  coalesce(line.network, waiting.network) as network
           from unnest($1::text[]) as lane (license_id)
           cross join lateral (
             select license_id, message_id, priority, to_number, segments, network from deliveries
             where deliveries.license_id = lane.license_id and deliveries.state = 'waiting'
             order by deliveries.priority, deliveries.position
             limit $2
             for update
           ) as waiting
           left join lines as line on line.number = waiting.to_number and line.known_until > $3"#,
        licenses.as_slice() as _,
        LOOK_AHEAD,
        now,
    )
    .fetch_all(&mut **tx)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let lane = lanes.get(row.license_id.as_str()).filter(|_| !go.contains(&row.message_id))?;
            let network = read_network(row.network.as_deref());
            let segments = u32::try_from(row.segments).unwrap_or(1);
            let of = &lane.registration;
            let hold = lane
                .find_quiet_hold(row.priority, &row.to_number, now)
                .or_else(|| buckets.find_hold(of, network, segments, limits, now))?;
            Some(NewHold { license_id: row.license_id, message_id: row.message_id, hold })
        })
        .collect())
}
