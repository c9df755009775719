//! Limits that licenses share. A turn locks what its lanes share, in the order of the keys and after the deliveries, so
//! that two replicas together are as exact as one.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};
use domain::{LicenseId, Network};
use sqlx::PgTransaction;

use crate::model::{Hold, HoldReason, LimitTree, find_day, find_end_of_day};

/// The word for all networks.
const ALL: &str = "all";

/// Whose a limit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Brand,
    Campaign,
}

impl Scope {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Brand => "brand",
            Self::Campaign => "campaign",
        }
    }
}

/// Names one limit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub scope: Scope,
    pub name: String,
    /// `None`: over all networks.
    network: Option<Network>,
}

impl Key {
    /// As it is stored.
    pub const fn network_word(&self) -> &'static str {
        match self.network {
            Some(network) => network.as_str(),
            None => ALL,
        }
    }
}

/// Under which registration a license sends.
#[derive(Clone, Debug)]
pub struct Registration {
    license_id: LicenseId,
    campaign: Option<String>,
    brand: Option<String>,
}

impl Registration {
    pub const fn new(license_id: LicenseId, campaign: Option<String>, brand: Option<String>) -> Self {
        Self { license_id, campaign, brand }
    }

    /// Its limit of this kind.
    pub fn key(&self, scope: Scope, network: Option<Network>) -> Key {
        let name = match scope {
            Scope::Campaign => self.campaign.as_ref(),
            Scope::Brand => self.brand.as_ref(),
        };
        // No word of a registration has a point.
        Key { scope, name: name.cloned().unwrap_or_else(|| format!(".{}", self.license_id)), network }
    }

    /// Every limit that this license may meet.
    fn keys(&self) -> impl Iterator<Item = Key> {
        let networks = Network::ALL.iter().copied().map(Some);
        let campaign = networks.clone().map(|network| self.key(Scope::Campaign, network));
        campaign.chain(networks.chain([None]).map(|network| self.key(Scope::Brand, network)))
    }

    /// Whether something is set for it.
    fn is_set(&self, key: &Key, tree: &LimitTree) -> bool {
        match (key.scope, key.network) {
            (Scope::Campaign, Some(network)) => !tree.of_campaign(self.campaign.as_deref()).at(network).is_off(),
            (Scope::Campaign, None) => false,
            (Scope::Brand, network) => tree.of_brand(self.brand.as_deref()).per_day(network).is_some(),
        }
    }
}

/// What is used of a limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bucket {
    tat: Option<DateTime<Utc>>,
    day: Option<NaiveDate>,
    used: u32,
    pub closed_until: Option<DateTime<Utc>>,
    pub closings: u32,
    changed: bool,
}

/// The limits that a turn's lanes share, locked.
#[derive(Debug, Default)]
pub struct Buckets(BTreeMap<Key, Bucket>);

/// What limits say of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes, and is counted.
    Go,
    /// Nothing of its network goes before this time, which is soon.
    Later(DateTime<Utc>),
    Hold(Hold),
}

/// Locks what these share. Rows of limits that are set appear with their first use.
pub async fn lock_buckets(
    tx: &mut PgTransaction<'_>,
    registrations: impl Iterator<Item = &Registration> + Clone,
    tree: &LimitTree,
) -> sqlx::Result<Buckets> {
    let keys: BTreeSet<Key> = registrations.clone().flat_map(Registration::keys).collect();
    let mut buckets = select_for_update(tx, &keys).await?;
    let missing: BTreeSet<Key> = registrations
        .flat_map(|registration| registration.keys().map(move |key| (registration, key)))
        .filter(|(registration, key)| !buckets.0.contains_key(key) && registration.is_set(key, tree))
        .map(|(_, key)| key)
        .collect();
    if !missing.is_empty() {
        insert_missing(tx, &missing).await?;
        buckets.0.extend(select_for_update(tx, &missing).await?.0);
    }
    Ok(buckets)
}

/// Makes the rows that are not there yet.
pub async fn insert_missing(tx: &mut PgTransaction<'_>, keys: &BTreeSet<Key>) -> sqlx::Result<()> {
    let (scopes, names, networks) = columns(keys);
    sqlx::query!(
        "insert into limits (scope, name, network)
         select new.scope, new.name, new.network
         from unnest($1::text[], $2::text[], $3::text[]) as new (scope, name, network)
         order by new.scope, new.name, new.network
         on conflict do nothing",
        scopes.as_slice() as _,
        names.as_slice() as _,
        networks.as_slice() as _,
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}

fn columns(keys: &BTreeSet<Key>) -> (Vec<&'static str>, Vec<&str>, Vec<&'static str>) {
    (
        keys.iter().map(|key| key.scope.as_str()).collect(),
        keys.iter().map(|key| key.name.as_str()).collect(),
        keys.iter().map(Key::network_word).collect(),
    )
}

/// Locks what there is of these.
pub async fn select_for_update(tx: &mut PgTransaction<'_>, keys: &BTreeSet<Key>) -> sqlx::Result<Buckets> {
    let (scopes, names, networks) = columns(keys);
    let rows = sqlx::query!(
        "select limits.scope, limits.name, limits.network, limits.tat, limits.day, limits.used, limits.closed_until,
                limits.closings
         from unnest($1::text[], $2::text[], $3::text[]) as wanted (scope, name, network)
         join limits using (scope, name, network)
         order by limits.scope, limits.name, limits.network
         for update of limits",
        scopes.as_slice() as _,
        names.as_slice() as _,
        networks.as_slice() as _,
    )
    .fetch_all(&mut **tx)
    .await?;
    let found = rows.into_iter().map(|row| {
        let key = Key {
            scope: if row.scope == Scope::Brand.as_str() { Scope::Brand } else { Scope::Campaign },
            name: row.name,
            network: row.network.parse().ok(),
        };
        let bucket = Bucket {
            tat: row.tat,
            day: row.day,
            used: u32::try_from(row.used).unwrap_or(0),
            closed_until: row.closed_until,
            closings: u32::try_from(row.closings).unwrap_or(0),
            changed: false,
        };
        (key, bucket)
    });
    Ok(Buckets(found.collect()))
}

impl Buckets {
    /// As it is stored; nothing is used of one that is not there.
    pub fn get(&self, key: &Key) -> Bucket {
        self.0.get(key).copied().unwrap_or_default()
    }

    /// What a carrier has closed.
    pub fn find_closing(&self, of: &Registration, network: Network, now: DateTime<Utc>) -> Option<Hold> {
        let closed = |scope, network, reason| {
            let until = self.0.get(&of.key(scope, network))?.closed_until.filter(|until| *until > now)?;
            Some(Hold { until, reason })
        };
        closed(Scope::Brand, None, HoldReason::DailyLimit)
            .or_else(|| closed(Scope::Brand, Some(network), HoldReason::DailyLimit))
            .or_else(|| closed(Scope::Campaign, Some(network), HoldReason::Throttled))
    }

    /// Whether the day of its brand is used up. A message that is longer than a day's limit goes first on a day.
    fn find_full_day(
        &self,
        of: &Registration,
        network: Network,
        segments: u32,
        tree: &LimitTree,
        now: DateTime<Utc>,
    ) -> Option<Hold> {
        let today = find_day(now);
        let limits = tree.of_brand(of.brand.as_deref());
        let is_full = [None, Some(network)].into_iter().any(|network| {
            let (Some(limit), Some(bucket)) = (limits.per_day(network), self.0.get(&of.key(Scope::Brand, network)))
            else {
                return false;
            };
            let used = if bucket.day == Some(today) { bucket.used } else { 0 };
            used > 0 && used.saturating_add(segments) > limit
        });
        is_full.then(|| Hold { until: find_end_of_day(now), reason: HoldReason::DailyLimit })
    }

    /// What stops a message for longer than a moment.
    pub fn find_hold(
        &self,
        of: &Registration,
        network: Network,
        segments: u32,
        tree: &LimitTree,
        now: DateTime<Utc>,
    ) -> Option<Hold> {
        self.find_closing(of, network, now).or_else(|| self.find_full_day(of, network, segments, tree, now))
    }

    /// Whether a message goes; counts it if it does.
    pub fn take(
        &mut self,
        of: &Registration,
        network: Network,
        segments: u32,
        tree: &LimitTree,
        now: DateTime<Utc>,
    ) -> Verdict {
        if let Some(hold) = self.find_hold(of, network, segments, tree, now) {
            return Verdict::Hold(hold);
        }
        let pace = tree.of_campaign(of.campaign.as_deref()).at(network);
        if let Some(bucket) = self.0.get_mut(&of.key(Scope::Campaign, Some(network))).filter(|_| !pace.is_off()) {
            let mut meter = pace.meter(bucket.tat, now);
            if !meter.take(segments) {
                return Verdict::Later(meter.opens_at());
            }
            (bucket.tat, bucket.changed) = (meter.tat(), true);
        }
        let today = find_day(now);
        for network in [None, Some(network)] {
            let is_set = tree.of_brand(of.brand.as_deref()).per_day(network).is_some();
            if let Some(bucket) = self.0.get_mut(&of.key(Scope::Brand, network)).filter(|_| is_set) {
                let used = if bucket.day == Some(today) { bucket.used } else { 0 };
                (bucket.day, bucket.used, bucket.changed) = (Some(today), used.saturating_add(segments), true);
            }
        }
        Verdict::Go
    }

    /// Writes what was counted.
    pub async fn record(self, tx: &mut PgTransaction<'_>) -> sqlx::Result<()> {
        let changed: BTreeMap<Key, Bucket> = self.0.into_iter().filter(|(_, bucket)| bucket.changed).collect();
        if changed.is_empty() {
            return Ok(());
        }
        let keys: BTreeSet<Key> = changed.keys().cloned().collect();
        let (scopes, names, networks) = columns(&keys);
        let tats: Vec<Option<DateTime<Utc>>> = changed.values().map(|bucket| bucket.tat).collect();
        let days: Vec<Option<NaiveDate>> = changed.values().map(|bucket| bucket.day).collect();
        let used: Vec<i32> = changed.values().map(|bucket| i32::try_from(bucket.used).unwrap_or(i32::MAX)).collect();
        sqlx::query!(
            "update limits set tat = counted.tat, day = counted.day, used = counted.used
             from unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::date[], $6::integer[])
               as counted (scope, name, network, tat, day, used)
             where (limits.scope, limits.name, limits.network) = (counted.scope, counted.name, counted.network)",
            scopes.as_slice() as _,
            names.as_slice() as _,
            networks.as_slice() as _,
            tats.as_slice() as _,
            days.as_slice() as _,
            &used,
        )
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

/// As it is stored; not known is other.
pub fn read_network(word: Option<&str>) -> Network {
    word.and_then(|word| word.parse().ok()).unwrap_or(Network::Other)
}
