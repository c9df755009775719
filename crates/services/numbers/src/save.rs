//! Save: replaces a license's number by a candidate (rules 3, 4 and 5).
//!
//! It stores the purchase, works on it at once, and answers when it is settled. A carrier that takes its time is not
//! waited for: the saga goes on by itself, and settings show it.

use std::time::Duration;

use chassis::{Clock, Lifecycle};
use domain::{Candidate, Id, LicenseId};
use tokio::time::Instant;

use crate::acquire::Acquirer;
use crate::error::Error;
use crate::model::acquisition::Next;
use crate::model::license::LicenseSettings;
use crate::model::save::SaveRefusal;
use crate::store::{SaveBegun, Store};

/// How long a caller waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For the carrier's answers to the first try.
    pub(crate) first_try: Duration,
    /// In all, if that try settled nothing.
    pub(crate) in_all: Duration,
}

impl Patience {
    /// Shorter than the patience of those who call us.
    pub(crate) const OF_CALLERS: Self = Self { first_try: Duration::from_secs(8), in_all: Duration::from_secs(8) };
}

/// How often it is looked whether another task or replica has settled it.
const POLL: Duration = Duration::from_millis(200);

/// Begins Saves and waits for them. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Saver {
    store: Store,
    acquirer: Acquirer,
    clock: Clock,
    lifecycle: Lifecycle,
    patience: Patience,
}

/// What a Save is answered.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    pub(crate) settings: LicenseSettings,
    /// False: it goes on.
    pub(crate) done: bool,
}

impl Saver {
    pub(crate) fn new(
        store: Store,
        acquirer: Acquirer,
        clock: Clock,
        lifecycle: Lifecycle,
        patience: Patience,
    ) -> Self {
        Self { store, acquirer, clock, lifecycle, patience }
    }

    pub(crate) async fn save(&self, license_id: &LicenseId, candidate_id: Id<Candidate>) -> Result<Saved, Error> {
        let start = Instant::now();
        let now = self.clock.now();
        match self.store.begin_save(license_id, candidate_id, now + self.acquirer.lease(), now).await? {
            // Whatever else is under way: it is the number.
            SaveBegun::Done => {
                return Ok(Saved { settings: self.store.get_settings(license_id, now).await?, done: true });
            }
            SaveBegun::Joined => {}
            SaveBegun::Begun(acquisition) => {
                tracing::info!(%license_id, "a change of number begins");
                if let Some(number) = acquisition.chosen {
                    let acquirer = self.acquirer.clone();
                    // It goes on when nobody waits for it any more.
                    let work = async move { acquirer.work_on(acquisition, Next::Buy(number)).await };
                    let work = self.lifecycle.spawn_tracked(work);
                    // Too late, or broken off: what is stored tells.
                    let _ = tokio::time::timeout_at(start + self.patience.first_try, work).await;
                }
            }
        }
        self.wait(license_id, candidate_id, start + self.patience.in_all).await
    }

    /// Until it is settled, by whomever, or the deadline.
    async fn wait(
        &self,
        license_id: &LicenseId,
        candidate_id: Id<Candidate>,
        deadline: Instant,
    ) -> Result<Saved, Error> {
        loop {
            let settings = self.store.get_settings(license_id, self.clock.now()).await?;
            if settings.provisioning.is_none() {
                if self.store.is_saved(license_id, candidate_id).await? {
                    return Ok(Saved { settings, done: true });
                }
                // No reason is left when somebody else has begun another change since.
                let reason = settings.change_error.map(|error| error.setback);
                return Err(reason.map_or(Error::Save(SaveRefusal::InProgress), Error::Ended));
            }
            if Instant::now() >= deadline {
                return Ok(Saved { settings, done: false });
            }
            tokio::time::sleep(POLL).await;
        }
    }
}
