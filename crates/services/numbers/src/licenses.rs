//! A license's settings: what a company says about itself, where its next number is bought, and how it sends.

use bus::Relay;
use chassis::Clock;
use domain::{CarrierName, LicenseId};
use proto::numbers::{GetSettingsRequest, PutLicenseRequest, PutQuietHoursRequest, PutRegistrationRequest};

use crate::acquire::Acquirer;
use crate::calls::Calls;
use crate::config::PhoneNumberSettings;
use crate::error::Error;
use crate::model::license::{Company, LicenseSettings};
use crate::model::sending::{QuietHours, Registration, SendingChange};
use crate::routes::RoutePublisher;
use crate::store::{LicenseChange, Store};

/// Reads and writes settings, and hints the loops that a change gives work to. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Licenses {
    pub(crate) store: Store,
    pub(crate) calls: Calls,
    /// Of a new license that names none.
    pub(crate) default_carrier: CarrierName,
    pub(crate) phone_numbers: PhoneNumberSettings,
    pub(crate) clock: Clock,
    pub(crate) acquirer: Acquirer,
    pub(crate) relay: Relay,
    pub(crate) routes: RoutePublisher,
}

impl Licenses {
    pub(crate) async fn put(&self, request: PutLicenseRequest) -> Result<LicenseSettings, Error> {
        let license_id = LicenseId::parse(request.license_id).map_err(Error::LicenseId)?;
        let phone = request.company_phone.as_deref();
        let company = Company::parse(&request.company_name, phone, self.phone_numbers.allow_fictional)?;
        let carrier = request.carrier.as_deref().map(|name| self.parse_carrier(name)).transpose()?;
        let change = LicenseChange {
            license_id,
            company,
            carrier,
            default_carrier: self.default_carrier,
            create: request.create,
        };
        let recorded = self.store.record_license(&change, self.clock.now()).await?;
        if recorded.created {
            tracing::info!(license_id = %change.license_id, "a new license starts getting its messages number");
            self.acquirer.hint();
        }
        self.relay.hint();
        self.routes.hint();
        Ok(recorded.settings)
    }

    pub(crate) async fn put_quiet_hours(&self, request: PutQuietHoursRequest) -> Result<LicenseSettings, Error> {
        let license_id = LicenseId::parse(request.license_id).map_err(Error::LicenseId)?;
        let hours = request.quiet_hours.map(|hours| QuietHours::parse(hours.from_minute, hours.until_minute));
        let hours = hours.transpose().map_err(Error::QuietHours)?;
        self.change_sending(&license_id, SendingChange::QuietHours(hours)).await
    }

    pub(crate) async fn put_registration(&self, request: PutRegistrationRequest) -> Result<LicenseSettings, Error> {
        let license_id = LicenseId::parse(request.license_id).map_err(Error::LicenseId)?;
        let registration = Registration::parse(request.campaign, request.brand)?;
        self.change_sending(&license_id, SendingChange::Registration(registration)).await
    }

    async fn change_sending(&self, license_id: &LicenseId, change: SendingChange) -> Result<LicenseSettings, Error> {
        let settings = self.store.record_sending(license_id, change, self.clock.now()).await?;
        self.relay.hint();
        Ok(settings)
    }

    pub(crate) async fn get(&self, request: GetSettingsRequest) -> Result<LicenseSettings, Error> {
        let license_id = LicenseId::parse(request.license_id).map_err(Error::LicenseId)?;
        self.store.get_settings(&license_id, self.clock.now()).await
    }

    fn parse_carrier(&self, name: &str) -> Result<CarrierName, Error> {
        let carrier = name.parse().map_err(|_| Error::CarrierUnknown)?;
        if self.calls.find(carrier).is_none() {
            return Err(Error::CarrierNotConfigured(carrier));
        }
        Ok(carrier)
    }
}
