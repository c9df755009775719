//! What our tables say of the numbers that a carrier's account owns.

use std::time::Duration;

use carriers::OwnedNumber;
use chrono::{DateTime, Utc};
use domain::{CarrierName, LicenseId, PhoneNumber};

use super::{Store, lock_number, read_count, read_license_id, read_number, write_numbers};
use crate::error::StoreError;
use crate::model::audit::Known;

impl Store {
    /// True for one replica in each interval.
    pub(crate) async fn take_audit_turn(&self, interval: Duration, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let taken = sqlx::query!("update audit_schedule set due_at = $1 where due_at <= $2", now + interval, now)
            .execute(&self.pool)
            .await?;
        Ok(taken.rows_affected() == 1)
    }

    /// Numbers of this carrier that are assigned, being bought or being given back.
    pub(crate) async fn count_expected(&self, carrier: CarrierName) -> Result<u64, StoreError> {
        let count = sqlx::query_scalar!(
            r#"select (select count(*) from messages_numbers where carrier = $1)
                    + (select count(*) from acquisitions where carrier = $1 and number is not null)
                    + (select count(*) from releases where carrier = $1) as "count!""#,
            carrier.as_str(),
        )
        .fetch_one(&self.pool)
        .await?;
        read_count(count)
    }

    /// What is known of each of these numbers, in their order. Those that are assigned count as seen now.
    pub(crate) async fn record_seen(
        &self,
        carrier: CarrierName,
        owned: &[OwnedNumber],
        now: DateTime<Utc>,
    ) -> Result<Vec<Known>, StoreError> {
        let numbers: Vec<PhoneNumber> = owned.iter().map(|owned| owned.number).collect();
        let numbers = write_numbers(&numbers);
        let tags: Vec<Option<String>> =
            owned.iter().map(|owned| owned.license_id.as_ref().map(ToString::to_string)).collect();
        sqlx::query!(
            "update messages_numbers set seen_at = $3 where carrier = $1 and number = any($2)",
            carrier.as_str(),
            &numbers,
            now,
        )
        .execute(&self.pool)
        .await?;
        let rows = sqlx::query!(
            r#"select m.license_id as "assigned?",
                      exists (select from acquisitions a where a.number = asked.number or a.license_id = asked.tag)
                      or exists (select from releases r where r.number = asked.number) as "under_way!",
                      exists (select from purchases p
                              where p.number = asked.number and p.carrier = $3 and p.license_id = asked.tag)
                          as "bought!"
               from unnest($1::text[], $2::text[]) with ordinality as asked (number, tag, position)
               left join messages_numbers m on m.number = asked.number and m.carrier = $3
               order by asked.position"#,
            &numbers,
            &tags as &[Option<String>],
            carrier.as_str(),
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                Ok(match row.assigned {
                    Some(license_id) => Known::Assigned(read_license_id(license_id)?),
                    None if row.under_way => Known::UnderWay,
                    None if row.bought => Known::Bought,
                    None => Known::Stranger,
                })
            })
            .collect()
    }

    /// Numbers that were assigned before `since` and not seen at the carrier from then on.
    pub(crate) async fn list_unseen(
        &self,
        carrier: CarrierName,
        since: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<(PhoneNumber, LicenseId)>, StoreError> {
        let rows = sqlx::query!(
            "select number, license_id from messages_numbers
             where carrier = $1 and assigned_at < $2 and (seen_at is null or seen_at < $2)
             order by number limit $3",
            carrier.as_str(),
            since,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(|row| Ok((read_number(&row.number)?, read_license_id(row.license_id)?))).collect()
    }

    /// Gives an orphaned number back, if it is still one: we were about to buy it for this license, and neither the
    /// number nor the license is in the hands of a saga. False: it is not.
    pub(crate) async fn record_orphan(
        &self,
        carrier: CarrierName,
        owned: &OwnedNumber,
        license_id: &LicenseId,
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        lock_number(&mut tx, owned.number).await?;
        let inserted = sqlx::query!(
            "insert into releases
                 (carrier, carrier_number_id, number, license_id, attempts, next_attempt_at, created_at)
             select $1, $2, $3, $4, 0, $5, $5
             where exists (select from purchases where number = $3 and carrier = $1 and license_id = $4)
               and not exists (select from messages_numbers where number = $3)
               and not exists (select from acquisitions where number = $3 or license_id = $4)
               and not exists (select from releases where number = $3)",
            carrier.as_str(),
            owned.carrier_number_id,
            owned.number.as_str(),
            license_id.as_str(),
            now,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(inserted.rows_affected() == 1)
    }
}
