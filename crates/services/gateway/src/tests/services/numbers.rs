//! Settings and numbers, played.

use std::sync::atomic::Ordering;

use chassis::Fault;
use proto::numbers::numbers_service_server::NumbersService;
use proto::numbers::{
    AuditNumbersRequest, AuditNumbersResponse, Candidate, GenerateCandidateRequest, GetSettingsRequest,
    PutLicenseRequest, PutQuietHoursRequest, PutRegistrationRequest, SaveNumberRequest, SaveNumberResponse, Settings,
};
use tonic::{Request, Response, Status};

use super::{Answer, Services};

#[tonic::async_trait]
impl NumbersService for Services {
    async fn put_license(&self, request: Request<PutLicenseRequest>) -> Answer<Settings> {
        let mut known = self.known();
        known.licenses_put.push(request.get_ref().clone());
        let PutLicenseRequest { license_id, company_name, company_phone, create, carrier } = request.into_inner();
        if !create && !known.settings.contains_key(&license_id) {
            return Err(Fault::not_found("license_not_found", "There is no such license.").into());
        }
        if company_phone.as_deref() == Some("911") {
            return Err(Fault::invalid("company_phone", "invalid_phone", "This is not a number.").into());
        }
        let carrier = carrier.unwrap_or_else(|| "twilio".to_owned());
        let settings =
            Settings { license_id: license_id.clone(), company_name, company_phone, carrier, ..Default::default() };
        known.settings.insert(license_id, settings.clone());
        Ok(Response::new(settings))
    }

    async fn get_settings(&self, request: Request<GetSettingsRequest>) -> Answer<Settings> {
        if self.state.numbers_hang.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let settings = self.known().settings.get(&request.into_inner().license_id).cloned();
        settings.map(Response::new).ok_or_else(|| Fault::not_found("license_not_found", "No such license.").into())
    }

    async fn generate_candidate(&self, request: Request<GenerateCandidateRequest>) -> Answer<Candidate> {
        let mut known = self.known();
        known.generated.push(request.into_inner());
        Ok(Response::new(known.generate_answer.clone().unwrap()?))
    }

    async fn save_number(&self, request: Request<SaveNumberRequest>) -> Answer<SaveNumberResponse> {
        self.known().saved.push(request.into_inner());
        self.state.save_arrived.notify_one();
        if self.state.save_held.load(Ordering::SeqCst) {
            self.state.save_released.notified().await;
        }
        Ok(Response::new(self.known().save_answer.clone().unwrap()?))
    }

    async fn put_quiet_hours(&self, request: Request<PutQuietHoursRequest>) -> Answer<Settings> {
        self.known().quiet_hours.ask(request)
    }

    async fn put_registration(&self, request: Request<PutRegistrationRequest>) -> Answer<Settings> {
        self.known().registration.ask(request)
    }

    /// For operators; the gateway never asks.
    async fn audit_numbers(&self, _: Request<AuditNumbersRequest>) -> Answer<AuditNumbersResponse> {
        Err(Status::unimplemented("not for the gateway"))
    }
}
