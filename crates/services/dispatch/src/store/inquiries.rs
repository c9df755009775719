//! What carriers are asked about afterwards, and what is written of their answers. No transaction is open while one is asked.

use carriers::SentCopy;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{CarrierName, Id, LicenseId, MessageBody, PhoneNumber};
use proto::dispatch::{Error, MessageProgressed};
use sqlx::PgTransaction;

use super::lines::record_recipients_that_cannot_receive;
use super::{AttemptKey, Settlement, Store, record_outcomes};
use crate::error::StoreError;
use crate::model::{
    Confirmation, Decision, Evidence, Knowledge, LaneChange, Next, Report, decide_confirmation, decide_report,
    find_line_by_code,
};

/// Something that a carrier is to be asked, by whoever claimed it.
#[derive(Clone, Debug)]
pub struct Inquiry {
    /// Of the delivery's last attempt.
    pub key: AttemptKey,
    pub from: PhoneNumber,
    pub carrier: CarrierName,
    pub about: About,
    /// Answers before this one.
    answers: u32,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum About {
    /// Whether the carrier took it (rule 16).
    Outcome { to: PhoneNumber, body: MessageBody, attempted_at: DateTime<Utc> },
    /// What became of it.
    Receipt { carrier_message_id: String, accepted_at: DateTime<Utc> },
}

impl Store {
    /// Takes what is due, oldest first, until `lease`. `carriers` are those that this process can ask.
    pub async fn claim_inquiries(
        &self,
        carriers: &[CarrierName],
        limit: usize,
        lease: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Vec<Inquiry>, StoreError> {
        let carriers: Vec<String> = carriers.iter().map(ToString::to_string).collect();
        let rows = sqlx::query!(
            r#"with due as materialized (
                 select deliveries.license_id, deliveries.message_id, attempts.try, attempts.from_number, attempts.carrier,
                        attempts.started_at, attempts.carrier_message_id
                 from deliveries
                 join attempts on (attempts.license_id, attempts.message_id, attempts.try)
                                = (deliveries.license_id, deliveries.message_id, deliveries.tries)
                 where deliveries.ask_at <= $1 and attempts.carrier = any($4)
                 order by deliveries.ask_at limit $2
                 for update of deliveries skip locked
               )
               update deliveries set ask_at = $3
               from due
               where (deliveries.license_id, deliveries.message_id) = (due.license_id, due.message_id)
               returning due.license_id as "license_id!", due.message_id as "message_id!", due.try as "try!",
                         due.from_number as "from_number!", due.carrier as "carrier!", due.started_at as "started_at!",
                         due.carrier_message_id, deliveries.to_number, deliveries.body, deliveries.asked,
                         deliveries.state, deliveries.settled_at"#,
            now,
            i64::try_from(limit).unwrap_or(i64::MAX),
            lease,
            &carriers,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let about = match (row.state.as_str(), row.body, row.carrier_message_id, row.settled_at) {
                    ("unknown", Some(body), ..) => About::Outcome {
                        to: number(&row.to_number)?,
                        body: MessageBody::parse(body).map_err(|_| StoreError::Corrupt { what: "text" })?,
                        attempted_at: row.started_at,
                    },
                    ("accepted", _, Some(carrier_message_id), Some(accepted_at)) => {
                        About::Receipt { carrier_message_id, accepted_at }
                    }
                    // Over, or its text is erased: `ask_at` went with that.
                    _ => return Err(StoreError::Corrupt { what: "inquiry" }),
                };
                Ok(Inquiry {
                    key: AttemptKey {
                        license_id: LicenseId::parse(row.license_id)
                            .map_err(|_| StoreError::Corrupt { what: "license" })?,
                        message_id: Id::from_uuid(row.message_id),
                        number: row.r#try,
                    },
                    from: number(&row.from_number)?,
                    carrier: row.carrier.parse().map_err(|_| StoreError::Corrupt { what: "carrier" })?,
                    about,
                    answers: u32::try_from(row.asked).unwrap_or(0),
                })
            })
            .collect()
    }

    /// Writes what follows from the evidence on an outcome. A message of the carrier's list that is another attempt's is no
    /// evidence: under the lane's lock, two messages of the same text never take the same one.
    ///
    /// What a receipt or a late answer has settled meanwhile stays so.
    pub async fn record_evidence(
        &self,
        inquiry: &Inquiry,
        attempted_at: DateTime<Utc>,
        evidence: Evidence,
        now: DateTime<Utc>,
    ) -> Result<Confirmation, StoreError> {
        let mut tx = self.pool.begin().await?;
        let license_id = inquiry.key.license_id.as_str();
        sqlx::query!("select from lanes where license_id = $1 for update", license_id).execute(&mut *tx).await?;
        let answered = evidence != Evidence::Failed;
        let evidence = match evidence {
            Evidence::List(copies) => Evidence::List(leave_out_taken(&mut tx, license_id, copies).await?),
            other => other,
        };
        let confirmation = decide_confirmation(evidence, attempted_at, inquiry.answers, &self.times, now);
        let (outcome, next, lane) = match &confirmation {
            Confirmation::Taken(copy) => {
                let carrier_message_id = copy.carrier_message_id.clone();
                ("accepted", Next::Accepted { carrier_message_id, segments: None }, None)
            }
            Confirmation::NotTaken => ("not_taken", Next::Waiting, Some(LaneChange::Again)),
            Confirmation::Unconfirmed => ("unknown", Next::Unconfirmed, None),
            Confirmation::AskAgain(at) => {
                postpone(&mut tx, inquiry, "unknown", Some(*at), answered).await?;
                tx.commit().await?;
                return Ok(confirmation);
            }
        };
        let settlement = Settlement {
            key: inquiry.key.clone(),
            from: inquiry.from,
            carrier: inquiry.carrier,
            decision: Decision { outcome, next, lane },
            learned: None,
        };
        record_outcomes(&mut tx, &[settlement], &self.times, now).await?;
        if let Confirmation::Taken(copy) = &confirmation
            && copy.status.message_status().is_final()
            && postpone(&mut tx, inquiry, "accepted", None, true).await?
        {
            bus::outbox::record(&mut tx, &[news(inquiry, copy, now)], now).await?;
        }
        tx.commit().await?;
        Ok(confirmation)
    }

    /// Writes what follows from what a carrier knows of a message that it took. `keep_lines`: for how long it is known what
    /// was learned of a line.
    pub async fn record_knowledge(
        &self,
        inquiry: &Inquiry,
        accepted_at: DateTime<Utc>,
        knowledge: Knowledge,
        keep_lines: TimeDelta,
        now: DateTime<Utc>,
    ) -> Result<Report, StoreError> {
        let mut tx = self.pool.begin().await?;
        let answered = knowledge != Knowledge::Failed;
        let report = decide_report(knowledge, accepted_at, inquiry.answers, &self.times, now);
        // A receipt that came meanwhile has said it.
        if postpone(&mut tx, inquiry, "accepted", report.ask_at, answered).await?
            && let Some(copy) = &report.news
        {
            bus::outbox::record(&mut tx, &[news(inquiry, copy, now)], now).await?;
            if copy.error.as_ref().is_some_and(|error| find_line_by_code(error.code).is_some()) {
                let refused = [inquiry.key.message_id];
                record_recipients_that_cannot_receive(&mut tx, &refused, now + keep_lines, now).await?;
            }
        }
        tx.commit().await?;
        Ok(report)
    }
}

/// Sets when it is asked about next. False: it is not in this state any more, or its last word is known.
async fn postpone(
    tx: &mut PgTransaction<'_>,
    inquiry: &Inquiry,
    state: &str,
    ask_at: Option<DateTime<Utc>>,
    answered: bool,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "update deliveries set ask_at = $5, asked = asked + case when $6 then 1 else 0 end
         where (license_id, message_id, tries) = ($1, $2, $3) and state = $4 and ask_at is not null",
        inquiry.key.license_id.as_str(),
        inquiry.key.message_id.uuid(),
        inquiry.key.number,
        state,
        ask_at,
        answered,
    )
    .execute(&mut **tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

async fn leave_out_taken(
    tx: &mut PgTransaction<'_>,
    license_id: &str,
    mut copies: Vec<SentCopy>,
) -> sqlx::Result<Vec<SentCopy>> {
    let ids: Vec<String> = copies.iter().map(|copy| copy.carrier_message_id.clone()).collect();
    if ids.is_empty() {
        return Ok(copies);
    }
    let taken = sqlx::query_scalar!(
        r#"select carrier_message_id as "carrier_message_id!" from attempts
           where license_id = $1 and carrier_message_id = any($2)"#,
        license_id,
        &ids,
    )
    .fetch_all(&mut **tx)
    .await?;
    copies.retain(|copy| !taken.contains(&copy.carrier_message_id));
    Ok(copies)
}

/// What a receipt would have said.
fn news(inquiry: &Inquiry, copy: &SentCopy, now: DateTime<Utc>) -> MessageProgressed {
    MessageProgressed {
        license_id: inquiry.key.license_id.to_string(),
        message_id: inquiry.key.message_id.to_string(),
        status: copy.status.message_status().as_str().to_owned(),
        from: Some(inquiry.from.as_str().to_owned()),
        carrier: Some(inquiry.carrier.to_string()),
        carrier_message_id: Some(copy.carrier_message_id.clone()),
        segments: None,
        error: copy.error.as_ref().map(|error| Error { code: error.code.to_owned(), detail: error.detail.clone() }),
        occurred_at: Some(proto::to_timestamp(now)),
    }
}

fn number(e164: &str) -> Result<PhoneNumber, StoreError> {
    PhoneNumber::from_e164(e164).map_err(|_| StoreError::Corrupt { what: "number" })
}
