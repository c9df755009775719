//! The whole service on real ports: what another service sees over gRPC.

use std::time::Duration;

use chassis::{Fault, Secret};
use proto::numbers::numbers_service_client::NumbersServiceClient;
use proto::numbers::{GetSettingsRequest, MessagesNumber, PutLicenseRequest, Settings as LicenseSettings};
use testkit::{Database, Simulator};
use tonic::transport::Channel;

use super::*;

struct Running {
    client: NumbersServiceClient<Channel>,
    lifecycle: Lifecycle,
    database: Database,
    simulator: Simulator,
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
        settings.webhooks.base_url = "https://in.example.com".to_owned();

        let listeners = Listeners { grpc: testkit::listener().await, admin: testkit::listener().await };
        let address = format!("http://{}", listeners.grpc.local_addr().unwrap());
        let lifecycle = Lifecycle::new();
        run(settings, listeners, Clock::system(), lifecycle.clone()).await.unwrap();
        let channel = serve::grpc_channel(&address, serve::ChannelTimeouts::default()).unwrap();
        Self { client: NumbersServiceClient::new(channel), lifecycle, database, simulator }
    }

    async fn put(&self, license_id: &str, phone: Option<&str>, create: bool) -> Result<LicenseSettings, Fault> {
        let request = PutLicenseRequest {
            license_id: license_id.to_owned(),
            company_name: "Acme".to_owned(),
            company_phone: phone.map(str::to_owned),
            create,
        };
        let answer = self.client.clone().put_license(request).await;
        answer.map(tonic::Response::into_inner).map_err(|status| Fault::from_status(&status))
    }

    async fn get(&self, license_id: &str) -> Result<LicenseSettings, Fault> {
        let request = GetSettingsRequest { license_id: license_id.to_owned() };
        let answer = self.client.clone().get_settings(request).await;
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
