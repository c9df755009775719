//! `NumbersService` over gRPC: parse, call, answer. It decides nothing that is not in the model.
//!
//! A write runs to its end although its caller has hung up: the caller's next read must not race a half-done one.

use chassis::{Fault, Lifecycle};
use domain::{AreaCode, LicenseId};
use proto::numbers::numbers_service_server::NumbersService;
use proto::numbers::{
    AuditNumbersRequest, AuditNumbersResponse, Candidate, GenerateCandidateRequest, GetSettingsRequest,
    PutLicenseRequest, PutQuietHoursRequest, PutRegistrationRequest, SaveNumberRequest, SaveNumberResponse, Settings,
};
use tonic::{Request, Response, Status};

use crate::audit::Auditor;
use crate::error::Error;
use crate::generate::Generator;
use crate::licenses::Licenses;
use crate::model::save::SaveRefusal;
use crate::save::{Saved, Saver};

/// The handlers and what they need.
#[derive(Clone, Debug)]
pub(crate) struct Rpc {
    licenses: Licenses,
    generator: Generator,
    saver: Saver,
    auditor: Auditor,
    lifecycle: Lifecycle,
}

impl Rpc {
    pub(crate) fn new(
        licenses: Licenses,
        generator: Generator,
        saver: Saver,
        auditor: Auditor,
        lifecycle: Lifecycle,
    ) -> Self {
        Self { licenses, generator, saver, auditor, lifecycle }
    }

    async fn generate(&self, request: GenerateCandidateRequest) -> Result<Candidate, Error> {
        let license_id = LicenseId::parse(request.license_id).map_err(Error::LicenseId)?;
        let area_code = match request.area_code {
            Some(typed) => Some(AreaCode::parse_us(&typed).map_err(|reason| Error::AreaCode(typed, reason))?),
            None => None,
        };
        self.generator.generate(&license_id, area_code).await.map(Into::into)
    }

    async fn save(&self, request: SaveNumberRequest) -> Result<SaveNumberResponse, Error> {
        let license_id = LicenseId::parse(request.license_id).map_err(Error::LicenseId)?;
        // What is no id at all names no candidate.
        let candidate_id = request.candidate_id.parse().map_err(|_| Error::Save(SaveRefusal::NotFound))?;
        let Saved { settings, done } = self.saver.save(&license_id, candidate_id).await?;
        Ok(SaveNumberResponse { settings: Some(settings.into()), done })
    }

    async fn audit(&self, request: AuditNumbersRequest) -> Result<AuditNumbersResponse, Error> {
        let reports = self.auditor.audit(request.repair).await?;
        Ok(AuditNumbersResponse { audits: reports.into_iter().map(Into::into).collect() })
    }

    /// Runs it to its end, whoever waits.
    async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        // Work that panicked is our mistake.
        answer(self.lifecycle.spawn_tracked(work).await.map_err(|_| Fault::internal())?)
    }
}

#[tonic::async_trait]
impl NumbersService for Rpc {
    async fn put_license(&self, request: Request<PutLicenseRequest>) -> Result<Response<Settings>, Status> {
        let licenses = self.licenses.clone();
        self.finish(async move { licenses.put(request.into_inner()).await.map(Into::into) }).await
    }

    async fn get_settings(&self, request: Request<GetSettingsRequest>) -> Result<Response<Settings>, Status> {
        answer(self.licenses.get(request.into_inner()).await.map(Into::into))
    }

    async fn generate_candidate(
        &self,
        request: Request<GenerateCandidateRequest>,
    ) -> Result<Response<Candidate>, Status> {
        let rpc = self.clone();
        self.finish(async move { rpc.generate(request.into_inner()).await }).await
    }

    async fn save_number(&self, request: Request<SaveNumberRequest>) -> Result<Response<SaveNumberResponse>, Status> {
        let rpc = self.clone();
        self.finish(async move { rpc.save(request.into_inner()).await }).await
    }

    async fn put_quiet_hours(&self, request: Request<PutQuietHoursRequest>) -> Result<Response<Settings>, Status> {
        let licenses = self.licenses.clone();
        self.finish(async move { licenses.put_quiet_hours(request.into_inner()).await.map(Into::into) }).await
    }

    async fn put_registration(&self, request: Request<PutRegistrationRequest>) -> Result<Response<Settings>, Status> {
        let licenses = self.licenses.clone();
        self.finish(async move { licenses.put_registration(request.into_inner()).await.map(Into::into) }).await
    }

    async fn audit_numbers(
        &self,
        request: Request<AuditNumbersRequest>,
    ) -> Result<Response<AuditNumbersResponse>, Status> {
        answer(self.audit(request.into_inner()).await)
    }
}

fn answer<T>(outcome: Result<T, Error>) -> Result<Response<T>, Status> {
    match outcome {
        Ok(answered) => Ok(Response::new(answered)),
        Err(error) => Err(Fault::from(error).into()),
    }
}
