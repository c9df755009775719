//! The whole service on real ports: what another service sees over gRPC.

use std::time::Duration;

use chassis::{Fault, Secret};
use proto::numbers::numbers_service_client::NumbersServiceClient;
use proto::numbers::{
    AuditNumbersRequest, Candidate, GenerateCandidateRequest, GetSettingsRequest, MessagesNumber, PutLicenseRequest,
    PutQuietHoursRequest, PutRegistrationRequest, QuietHours, Route, SaveNumberRequest, SaveNumberResponse,
    Settings as LicenseSettings,
};
use testkit::{Database, Simulator};
use tonic::transport::Channel;

use crate::*;

struct Running {
    client: NumbersServiceClient<Channel>,
    lifecycle: Lifecycle,
    database: Database,
    simulator: Simulator,
    bus: Bus,
}

impl Running {
    async fn start() -> Self {
        let database = testkit::database(&[]).await;
        let simulator = Simulator::start().await;
        let mut settings: Settings = chassis::config::load(DEFAULTS, None, &|_| None).unwrap();
        settings.database.url = Secret::new(database.url.clone());
        settings.nats = testkit::nats();
        settings.twilio.base_url = simulator.url().to_owned();
        settings.twilio.account_sid = Simulator::ACCOUNT_SID.to_owned();
        settings.twilio.auth_token = Secret::from(Simulator::AUTH_TOKEN);
        settings.release.delay_s = 0;
        settings.audit.interval_s = 1;
        let bus = Bus::connect(&settings.nats, "test").await.unwrap();
        settings.webhooks.base_url = "https://in.example.com".to_owned();

        let listeners = Listeners { grpc: testkit::listener().await, admin: testkit::listener().await };
        let address = format!("http://{}", listeners.grpc.local_addr().unwrap());
        let lifecycle = Lifecycle::new();
        run(settings, listeners, Clock::system(), lifecycle.clone()).await.unwrap();
        let channel = serve::grpc_channel(&address, serve::ChannelTimeouts::default()).unwrap();
        Self { client: NumbersServiceClient::new(channel), lifecycle, database, simulator, bus }
    }

    async fn put(&self, license_id: &str, phone: Option<&str>, create: bool) -> Result<LicenseSettings, Fault> {
        let request = PutLicenseRequest {
            license_id: license_id.to_owned(),
            company_name: "Acme".to_owned(),
            company_phone: phone.map(str::to_owned),
            create,
            carrier: None,
        };
        let answer = self.client.clone().put_license(request).await;
        answer.map(tonic::Response::into_inner).map_err(|status| Fault::from_status(&status))
    }

    async fn get(&self, license_id: &str) -> Result<LicenseSettings, Fault> {
        let request = GetSettingsRequest { license_id: license_id.to_owned() };
        let answer = self.client.clone().get_settings(request).await;
        answer.map(tonic::Response::into_inner).map_err(|status| Fault::from_status(&status))
    }

    async fn generate(&self, license_id: &str, area_code: Option<&str>) -> Result<Candidate, Fault> {
        let area_code = area_code.map(str::to_owned);
        let request = GenerateCandidateRequest { license_id: license_id.to_owned(), area_code };
        let answer = self.client.clone().generate_candidate(request).await;
        answer.map(tonic::Response::into_inner).map_err(|status| Fault::from_status(&status))
    }

    async fn save(&self, license_id: &str, candidate_id: &str) -> Result<SaveNumberResponse, Fault> {
        let request = SaveNumberRequest { license_id: license_id.to_owned(), candidate_id: candidate_id.to_owned() };
        let answer = self.client.clone().save_number(request).await;
        answer.map(tonic::Response::into_inner).map_err(|status| Fault::from_status(&status))
    }

    async fn wait_for_number(&self, license_id: &str) -> MessagesNumber {
        testkit::eventually("the assignment", async || {
            let settings = self.get(license_id).await.unwrap();
            settings.messages_number.ok_or(settings.provisioning)
        })
        .await
    }

    async fn stop(self) {
        self.lifecycle.finish(Duration::from_secs(10)).await.unwrap();
    }
}

fn code_and_field(refused: Result<LicenseSettings, Fault>) -> (String, Option<String>) {
    let fault = refused.unwrap_err();
    (fault.code.into_owned(), fault.field)
}

#[tokio::test]
async fn a_license_has_at_most_one_messages_number_and_settings_show_it() {
    let service = Running::start().await;
    let settings = service.put("acme", Some("+14152345678"), true).await.unwrap();
    assert_eq!(settings.messages_number, None);
    assert_eq!(settings.provisioning.unwrap().step, "searching");

    let assigned = service.wait_for_number("acme").await;
    assert!(assigned.number.starts_with("+1415"));
    assert_eq!(assigned.carrier, "twilio");

    // The same request again changes the company and starts nothing.
    let settings = service.put("acme", None, true).await.unwrap();
    assert_eq!(settings.messages_number, Some(assigned));
    assert_eq!((settings.company_phone, settings.provisioning), (None, None));
    // The first assignment does not count.
    assert_eq!(settings.next_change_allowed_at, None);
    assert_eq!(service.simulator.numbers().await.len(), 1);

    testkit::eventually("the publication", async || {
        let waiting: i64 =
            sqlx::query_scalar("select count(*) from outbox").fetch_one(&service.database.pool).await.unwrap();
        if waiting == 0 { Ok(()) } else { Err(waiting) }
    })
    .await;
    service.stop().await;
}

#[tokio::test]
async fn a_license_that_is_not_there_is_not_found_and_not_made_by_an_update() {
    let service = Running::start().await;
    for refused in [service.get("nobody").await, service.put("nobody", None, false).await, service.get("nobody").await]
    {
        assert_eq!(code_and_field(refused), ("license_not_found".to_owned(), None));
    }
    service.stop().await;
}

#[tokio::test]
async fn the_company_phone_may_not_be_a_number_that_leaseline_owns() {
    let service = Running::start().await;
    service.put("acme", Some("+14152345678"), true).await.unwrap();
    let number = service.wait_for_number("acme").await.number;
    for (license_id, create) in [("acme", false), ("other", true)] {
        let refused = service.put(license_id, Some(&number), create).await;
        let expected = ("company_phone_is_a_messages_number".to_owned(), Some("company_phone".to_owned()));
        assert_eq!(code_and_field(refused), expected);
    }
    assert_eq!(service.get("acme").await.unwrap().company_phone.as_deref(), Some("+14152345678"));
    assert_eq!(code_and_field(service.get("other").await).0, "license_not_found");
    service.stop().await;
}

#[tokio::test]
async fn what_cannot_be_a_license_is_refused_with_the_field_and_the_reason() {
    let service = Running::start().await;
    for (license_id, phone, code, field) in [
        ("a.b", None, "license_id_invalid", "license_id"),
        ("", None, "license_id_invalid", "license_id"),
        ("acme", Some("+14155550123"), "phone_fictional", "company_phone"),
        ("acme", Some("+442079460958"), "phone_not_north_american", "company_phone"),
        ("acme", Some("411"), "phone_wrong_length", "company_phone"),
    ] {
        let refused = service.put(license_id, phone, true).await;
        assert_eq!(code_and_field(refused), (code.to_owned(), Some(field.to_owned())));
    }
    service.stop().await;
}

#[tokio::test]
async fn generate_and_save_change_the_number_the_route_and_what_is_owned_and_the_limit_is_told() {
    let service = Running::start().await;
    service.put("acme", Some("+14152345678"), true).await.unwrap();
    service.wait_for_number("acme").await;
    let candidate = service.generate("acme", Some("212")).await.unwrap();
    assert!(candidate.area_code_matched && candidate.number.starts_with("+1212"));
    let saved = service.save("acme", &candidate.candidate_id).await.unwrap();
    assert!(saved.done);
    let settings = saved.settings.unwrap();
    assert_eq!(settings.messages_number.clone().unwrap().number, candidate.number);
    assert_eq!(service.get("acme").await.unwrap(), settings);

    let another = service.generate("acme", None).await.unwrap();
    let refused = service.save("acme", &another.candidate_id).await.unwrap_err();
    assert_eq!(refused.code, "change_limit_reached");
    let allowed: chrono::DateTime<chrono::Utc> =
        refused.extra["next_change_allowed_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(settings.next_change_allowed_at, Some(proto::to_timestamp(allowed)));

    testkit::eventually("the release", async || {
        let owned = service.simulator.numbers().await;
        if owned.len() == 1 && owned[0]["phone_number"] == candidate.number.as_str() { Ok(()) } else { Err(owned) }
    })
    .await;
    testkit::eventually("the route", async || {
        let stale: i64 =
            sqlx::query_scalar("select count(*) from stale_routes").fetch_one(&service.database.pool).await.unwrap();
        if stale == 0 { Ok(()) } else { Err(stale) }
    })
    .await;
    assert_eq!(service.bus.count_latest::<Route>().await.unwrap(), 1);

    let audits = service.client.clone().audit_numbers(AuditNumbersRequest { repair: true }).await.unwrap();
    let [audit] = audits.into_inner().audits.try_into().unwrap();
    assert_eq!((audit.carrier.as_str(), audit.owned, audit.expected, audit.findings.len()), ("twilio", 1, 1, 0));
    service.stop().await;
}

#[tokio::test]
async fn a_carrier_that_puts_a_purchase_off_for_a_moment_is_waited_for() {
    let service = Running::start().await;
    service.put("acme", None, true).await.unwrap();
    service.wait_for_number("acme").await;
    let candidate = service.generate("acme", None).await.unwrap();
    service.simulator.set_faults(serde_json::json!([{ "on": "buy", "kind": "http_429", "count": 1 }])).await;
    let saved = service.save("acme", &candidate.candidate_id).await.unwrap();
    assert!(saved.done);
    assert_eq!(saved.settings.unwrap().messages_number.unwrap().number, candidate.number);
    service.stop().await;
}

#[tokio::test]
async fn accounts_are_audited_by_themselves() {
    let service = Running::start().await;
    testkit::eventually("the audit", async || {
        let taken: bool = sqlx::query_scalar("select due_at > now() - interval '1 minute' from audit_schedule")
            .fetch_one(&service.database.pool)
            .await
            .unwrap();
        if taken { Ok(()) } else { Err("not yet") }
    })
    .await;
    service.stop().await;
}

#[tokio::test]
async fn an_area_code_that_cannot_be_searched_gets_a_refusal_that_says_which() {
    let service = Running::start().await;
    service.put("acme", None, true).await.unwrap();
    for (area_code, code) in [
        ("416", "area_code_not_united_states"),
        ("199", "area_code_unknown"),
        ("800", "area_code_toll_free"),
        ("900", "area_code_premium"),
        ("5", "area_code_not_three_digits"),
    ] {
        let refused = service.generate("acme", Some(area_code)).await.unwrap_err();
        assert_eq!((refused.code.as_ref(), refused.field.as_deref()), (code, Some("area_code")));
        assert!(area_code.len() < 3 || refused.detail.contains(area_code), "{}", refused.detail);
    }
    assert_eq!(service.save("acme", "no-id").await.unwrap_err().code, "candidate_not_found");
    service.stop().await;
}

#[tokio::test]
async fn how_a_license_sends_is_set_and_shown() {
    let service = Running::start().await;
    service.put("acme", None, true).await.unwrap();
    let quiet_hours = Some(QuietHours { from_minute: 1260, until_minute: 480 });
    let request = PutQuietHoursRequest { license_id: "acme".to_owned(), quiet_hours };
    let answer = service.client.clone().put_quiet_hours(request).await.unwrap().into_inner();
    assert_eq!(answer.quiet_hours, quiet_hours);
    let (campaign, brand) = (Some("C1".to_owned()), Some("B1".to_owned()));
    let request = PutRegistrationRequest { license_id: "acme".to_owned(), campaign, brand };
    let answer = service.client.clone().put_registration(request).await.unwrap().into_inner();
    assert_eq!((answer.campaign.as_deref(), answer.brand.as_deref()), (Some("C1"), Some("B1")));
    let settings = service.get("acme").await.unwrap();
    assert_eq!((settings.quiet_hours, settings.campaign, settings.brand), (quiet_hours, answer.campaign, answer.brand));
    service.stop().await;
}

#[tokio::test]
async fn a_carrier_that_is_not_set_up_is_refused() {
    let service = Running::start().await;
    let request = PutLicenseRequest {
        license_id: "acme".to_owned(),
        company_name: "Acme".to_owned(),
        company_phone: None,
        create: true,
        carrier: Some("telnyx".to_owned()),
    };
    let status = service.client.clone().put_license(request).await.unwrap_err();
    let refused = Fault::from_status(&status);
    assert_eq!((refused.code.as_ref(), refused.field.as_deref()), ("carrier_not_configured", Some("carrier")));
    service.stop().await;
}
