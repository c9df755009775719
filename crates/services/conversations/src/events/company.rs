//! `numbers.company.changed`: the company's name and phone, and `company.updated` on the feed, also when both are as before:
//! the settings beside them have changed.

use bus::{Classify, HandleError, Handler, Received};
use domain::{CompanyName, LicenseId, PhoneNumber};
use proto::{from_timestamp, numbers};
use sqlx::PgTransaction;

use super::not_applied;
use crate::push::Pusher;
use crate::store::licenses::{self, Company, FeedRange, Subject};

#[derive(Debug)]
pub(crate) struct CompanyChanged {
    pusher: Pusher,
}

impl CompanyChanged {
    pub(crate) fn new(pusher: Pusher) -> Self {
        Self { pusher }
    }
}

impl Handler for CompanyChanged {
    type Event = numbers::CompanyChanged;
    type Done = Vec<FeedRange>;

    async fn handle(
        &self,
        tx: &mut PgTransaction<'_>,
        events: &[Received<numbers::CompanyChanged>],
    ) -> Result<Vec<FeedRange>, HandleError> {
        let companies: anyhow::Result<Vec<Company>> = events.iter().map(|received| read(&received.event)).collect();
        let companies = companies.permanent()?;
        let licenses = companies.iter().map(|each| each.license_id.clone());
        let mut locked = licenses::lock(tx, licenses).await.map_err(not_applied)?;
        for license_id in licenses::record_companies(tx, &companies).await.map_err(not_applied)? {
            let times = companies.iter().filter(|each| each.license_id == license_id).map(|each| each.changed_at);
            locked.record(&license_id, Subject::CompanyUpdated, times.max().unwrap_or_default());
        }
        locked.write(tx).await.map_err(not_applied)
    }

    async fn committed(&self, ranges: Vec<FeedRange>) {
        self.pusher.push(ranges);
    }
}

fn read(event: &numbers::CompanyChanged) -> anyhow::Result<Company> {
    Ok(Company {
        license_id: LicenseId::parse(event.license_id.as_str())?,
        name: CompanyName::parse(&event.company_name)?,
        phone: event.company_phone.as_deref().map(PhoneNumber::from_e164).transpose()?,
        changed_at: from_timestamp(event.changed_at)?,
        version: i64::try_from(event.version)?,
    })
}
