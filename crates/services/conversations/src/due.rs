//! Sends what was scheduled when its time has come: each one once, also across a crash, because it is marked as sent in the
//! transaction that queues its messages.
//!
//! A turn takes one send of each of many licenses, so that a license with thousands of them does not hold up the others.
//! Several replicas work side by side: who finds a license in use goes on with the next and comes back to it. A send that
//! can never work ends with everybody rejected. It is not tried again for recipients who were rejected.

use std::time::Duration;

use bus::Relay;
use chassis::{Clock, steps};
use chrono::{DateTime, Utc};
use domain::{Id, LicenseId, ScheduledSend};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::accept::{self, AcceptError, Accepted};
use crate::model::{CANNOT_BE_SENT, COMPANY_NAME_UNKNOWN, Recipient, Rejection};
use crate::push::Pusher;
use crate::store::licenses::{self, FeedRange, Locked, Subject};
use crate::store::scheduled::{self, Due, Outcome};
use crate::store::{StoreError, Tx};

/// How late a send may be because of this loop.
const EVERY: Duration = Duration::from_secs(1);
/// Licenses of one turn.
const LICENSES: i64 = 200;
/// Due sends among which a turn looks for different licenses.
const AMONG: i64 = 10_000;

/// What the loop works with.
#[derive(Debug, Clone)]
pub(crate) struct DueSends {
    pub pool: PgPool,
    pub clock: Clock,
    pub relay: Relay,
    pub pusher: Pusher,
}

impl DueSends {
    pub(crate) async fn run(self, stopping: CancellationToken) -> anyhow::Result<()> {
        steps::run(EVERY, "will look for due sends later", &stopping, async || {
            Ok::<_, StoreError>(self.take_turn(&stopping).await? > 0)
        })
        .await
    }

    /// One send of each of the licenses that have waited longest. Returns how many were sent.
    pub(crate) async fn take_turn(&self, stopping: &CancellationToken) -> Result<usize, StoreError> {
        let mut sent = 0;
        let mut in_use = Vec::new();
        for (license_id, id) in scheduled::list_due(&self.pool, self.clock.now(), AMONG, LICENSES).await? {
            if stopping.is_cancelled() {
                return Ok(sent);
            }
            match self.send_unless_in_use(&license_id, id).await {
                Ok(Some(done)) => sent += usize::from(done),
                Ok(None) => in_use.push((license_id, id)),
                Err(error) => put_off(&error),
            }
        }
        for (license_id, id) in in_use {
            if stopping.is_cancelled() {
                break;
            }
            match self.send(&license_id, id).await {
                Ok(done) => sent += usize::from(done),
                Err(error) => put_off(&error),
            }
        }
        Ok(sent)
    }

    /// `None`: somebody else is changing the license just now.
    async fn send_unless_in_use(
        &self,
        license_id: &LicenseId,
        id: Id<ScheduledSend>,
    ) -> Result<Option<bool>, StoreError> {
        let mut tx = self.pool.begin().await?;
        let Some(locked) = licenses::try_lock(&mut tx, license_id).await? else { return Ok(None) };
        self.send_locked(tx, locked, license_id, id).await.map(Some)
    }

    async fn send(&self, license_id: &LicenseId, id: Id<ScheduledSend>) -> Result<bool, StoreError> {
        let mut tx = self.pool.begin().await?;
        let locked = licenses::lock(&mut tx, [license_id.clone()]).await?;
        self.send_locked(tx, locked, license_id, id).await
    }

    /// True: it was sent. False: it was canceled, put off or sent by somebody else meanwhile.
    async fn send_locked(
        &self,
        mut tx: Tx<'static>,
        mut locked: Locked,
        license_id: &LicenseId,
        id: Id<ScheduledSend>,
    ) -> Result<bool, StoreError> {
        let now = self.clock.now();
        match accept_due(&mut tx, &mut locked, license_id, id, now).await {
            Ok(done) => {
                if done {
                    self.commit(tx, locked).await?;
                }
                Ok(done)
            }
            Err(error) if error.is_lasting() => {
                tracing::error!(error = &error as &dyn std::error::Error, "a scheduled send can never be sent");
                tx.rollback().await?;
                self.give_up(license_id, id).await
            }
            Err(error) => Err(error),
        }
    }

    /// Ends a send that can never work.
    async fn give_up(&self, license_id: &LicenseId, id: Id<ScheduledSend>) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let mut tx = self.pool.begin().await?;
        let mut locked = licenses::lock(&mut tx, [license_id.clone()]).await?;
        let done = scheduled::mark_given_up(&mut tx, license_id, id, CANNOT_BE_SENT, now).await?;
        if done {
            locked.record(license_id, Subject::ScheduledUpdated(id), now);
            self.commit(tx, locked).await?;
        }
        Ok(done)
    }

    async fn commit(&self, mut tx: Tx<'static>, locked: Locked) -> Result<(), StoreError> {
        let ranges: Vec<FeedRange> = locked.write(&mut tx).await?;
        tx.commit().await?;
        self.relay.hint();
        self.pusher.push(ranges);
        Ok(())
    }
}

/// The next turn comes back to it.
fn put_off(error: &StoreError) {
    tracing::warn!(error = error as &dyn std::error::Error, "a scheduled send is put off");
}

/// Decides and writes a due send as if its manager sent it now, and marks it. False: it is not due, or not waiting.
async fn accept_due(
    tx: &mut Tx<'_>,
    locked: &mut Locked,
    license_id: &LicenseId,
    id: Id<ScheduledSend>,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    let Some(Due { sending, positions }) = scheduled::find_due(tx, license_id, id, now).await? else {
        return Ok(false);
    };
    let accepted = match accept::decide(tx, &sending).await {
        Ok(decided) => accept::record(tx, locked, &sending, decided, now).await?,
        Err(AcceptError::CompanyNameUnknown) => {
            let rejected = sending.recipients.iter().map(|each| Rejection::new(each, COMPANY_NAME_UNKNOWN)).collect();
            Accepted { batch_id: None, messages: Vec::new(), rejected }
        }
        Err(AcceptError::Store(error)) => return Err(error),
    };
    let message_id = accepted.messages.first().filter(|_| accepted.batch_id.is_none()).map(|first| first.message_id);
    let rejected = place(&positions, &sending.recipients, accepted.rejected);
    let outcome = Outcome { batch_id: accepted.batch_id, message_id, rejected: &rejected };
    let marked = scheduled::mark_sent(tx, license_id, id, &outcome, now).await?;
    locked.record(license_id, Subject::ScheduledUpdated(id), now);
    Ok(marked)
}

/// Rejections, which stand in the order of the recipients, with the places of theirs. No recipient is there twice.
fn place(positions: &[i32], recipients: &[Recipient], rejected: Vec<Rejection>) -> Vec<(i32, Rejection)> {
    let mut recipients = positions.iter().zip(recipients);
    let placed = rejected.into_iter().filter_map(|rejection| {
        let (position, _) = recipients.find(|(_, recipient)| **recipient == rejection.recipient)?;
        Some((*position, rejection))
    });
    placed.collect()
}
