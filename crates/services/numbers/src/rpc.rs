//! `NumbersService` over gRPC: parse, store, answer. It decides nothing that is not in the model.
//!
//! A write runs to its end although its caller has hung up: the caller's next read must not race a half-done one.

use chassis::{Clock, Fault, Lifecycle};
use domain::LicenseId;
use proto::numbers::numbers_service_server::NumbersService;
use proto::numbers::{GetSettingsRequest, PutLicenseRequest, Settings};
use tonic::{Request, Response, Status};

use crate::acquire::Acquirer;
use crate::config::PhoneNumberSettings;
use crate::error::Error;
use crate::model::license::{Company, LicenseSettings};
use crate::store::Store;

/// The handlers and what they need.
#[derive(Clone, Debug)]
pub(crate) struct Rpc {
    store: Store,
    acquirer: Acquirer,
    clock: Clock,
    phone_numbers: PhoneNumberSettings,
    lifecycle: Lifecycle,
}

impl Rpc {
    pub(crate) fn new(
        store: Store,
        acquirer: Acquirer,
        clock: Clock,
        phone_numbers: PhoneNumberSettings,
        lifecycle: Lifecycle,
    ) -> Self {
        Self { store, acquirer, clock, phone_numbers, lifecycle }
    }

    async fn record_license(&self, request: PutLicenseRequest) -> Result<LicenseSettings, Error> {
        let license_id = LicenseId::parse(request.license_id).map_err(Error::LicenseId)?;
        let phone = request.company_phone.as_deref();
        let company = Company::parse(&request.company_name, phone, self.phone_numbers.allow_fictional)?;
        let now = self.clock.now();
        let recorded = self.store.record_license(&license_id, &company, request.create, now).await?;
        if recorded.created {
            tracing::info!(%license_id, "a new license starts getting its messages number");
            self.acquirer.hint();
        }
        Ok(recorded.settings)
    }

    async fn get_license_settings(&self, request: GetSettingsRequest) -> Result<LicenseSettings, Error> {
        let license_id = LicenseId::parse(request.license_id).map_err(Error::LicenseId)?;
        self.store.get_settings(&license_id).await
    }
}

#[tonic::async_trait]
impl NumbersService for Rpc {
    async fn put_license(&self, request: Request<PutLicenseRequest>) -> Result<Response<Settings>, Status> {
        let rpc = self.clone();
        let write = self.lifecycle.spawn_tracked(async move { rpc.record_license(request.into_inner()).await });
        // A write that panicked is our mistake.
        answer(write.await.map_err(|_| Fault::internal())?)
    }

    async fn get_settings(&self, request: Request<GetSettingsRequest>) -> Result<Response<Settings>, Status> {
        answer(self.get_license_settings(request.into_inner()).await)
    }
}

fn answer(outcome: Result<LicenseSettings, Error>) -> Result<Response<Settings>, Status> {
    match outcome {
        Ok(settings) => Ok(Response::new(settings.into())),
        Err(error) => Err(Fault::from(error).into()),
    }
}
