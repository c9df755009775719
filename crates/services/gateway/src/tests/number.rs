//! Generate and Save, as admins see them: rules 2 to 5.

use std::sync::atomic::Ordering;

use chassis::Fault;
use proto::numbers::{Candidate, MessagesNumber, Provisioning, SaveNumberResponse, Settings};
use proto::to_timestamp;
use serde_json::json;

use super::tokens::{Token, admin, backend, token};
use super::{Answer, World, a_time, read};

const CANDIDATE: &str = "01900000-0000-7000-8000-00000000000e";
const CANDIDATES: &str = "/v1/number/candidates";

fn a_candidate() -> Candidate {
    Candidate {
        candidate_id: CANDIDATE.to_owned(),
        number: "+14155550100".to_owned(),
        area_code_matched: false,
        expires_at: Some(to_timestamp(a_time())),
    }
}

fn settings() -> Settings {
    Settings {
        license_id: "acme".to_owned(),
        company_name: "Acme".to_owned(),
        carrier: "twilio".to_owned(),
        ..Default::default()
    }
}

async fn save(world: &World) -> Answer {
    world.send("PUT", "/v1/number", &admin(), &json!({"candidate_id": CANDIDATE})).await
}

#[tokio::test]
async fn generate_offers_a_candidate_and_says_whether_the_area_code_matched() {
    let world = World::start().await;
    world.services.known().generate_answer = Some(Ok(a_candidate()));
    let answer = world.send("POST", CANDIDATES, &admin(), &json!({"area_code": "415"})).await;
    let expected = json!({
        "candidate_id": CANDIDATE, "number": "+14155550100", "area_code_matched": false,
        "expires_at": "2026-03-02T15:00:00Z",
    });
    assert_eq!((answer.status, answer.body), (201, expected));

    // Without an area code the body may be empty, or not be there at all.
    for body in ["", "{}", "null", r#"{"area_code": null}"#] {
        let request = world.request("POST", CANDIDATES, &admin()).header("Content-Type", "application/json");
        assert_eq!(read(request.body(body)).await.status, 201, "{body}");
    }
    assert_eq!(read(world.request("POST", CANDIDATES, &admin())).await.status, 201);
    let asked: Vec<_> = world.services.known().generated.iter().map(|each| each.area_code.clone()).collect();
    assert_eq!(asked, [Some("415".to_owned()), None, None, None, None, None]);
    assert!(world.services.known().generated.iter().all(|each| each.license_id == "acme"));

    for (body, code, field) in [
        (json!({"area_code": 415}), "invalid_value", "area_code"),
        (json!({"areacode": "415"}), "unknown_field", "areacode"),
    ] {
        let answer = world.send("POST", CANDIDATES, &admin(), &body).await;
        assert_eq!(answer.problem(), (422, code, Some(field)));
    }
    let text = world.request("POST", CANDIDATES, &admin()).header("Content-Type", "text/plain").body("415");
    assert_eq!(read(text).await.problem().0, 415);
    assert_eq!(world.services.known().generated.len(), 6);
}

#[tokio::test]
async fn a_number_that_cannot_be_generated_is_refused_with_the_reason() {
    let world = World::start().await;
    let unknown = Fault::invalid("area_code", "area_code_unknown", "555 is not an area code in use.");
    let none = Fault::conflict("no_numbers_available", "There is none.");
    let away = Fault::unavailable("carrier_unreachable", "Try again.");
    for (fault, expected) in [
        (unknown, (422, "area_code_unknown", Some("area_code"))),
        (none, (409, "no_numbers_available", None)),
        (away, (503, "carrier_unreachable", None)),
    ] {
        world.services.known().generate_answer = Some(Err(fault));
        assert_eq!(read(world.request("POST", CANDIDATES, &admin())).await.problem(), expected);
    }
    let often = Fault::rate_limited("generate_limit_reached", "Ten a minute.").with("retry_after_s", 42);
    world.services.known().generate_answer = Some(Err(often));
    let answer = read(world.request("POST", CANDIDATES, &admin()).header("Origin", "https://app.example.com")).await;
    assert_eq!(answer.problem(), (429, "generate_limit_reached", None));
    assert_eq!((&answer.headers["retry-after"], &answer.body["retry_after_s"]), (&"42".parse().unwrap(), &json!(42)));
}

#[tokio::test]
async fn save_answers_the_settings_when_it_is_done_and_202_while_it_goes_on() {
    let world = World::start().await;
    let number = MessagesNumber {
        number: "+14155550100".to_owned(),
        carrier: "twilio".to_owned(),
        assigned_at: Some(to_timestamp(a_time())),
    };
    let done = Settings { messages_number: Some(number), ..settings() };
    world.services.known().save_answer = Some(Ok(SaveNumberResponse { settings: Some(done), done: true }));
    let answer = save(&world).await;
    assert_eq!((answer.status, &answer.body["messages_number"]["number"]), (200, &json!("+14155550100")));

    let buying =
        Provisioning { step: "buying".to_owned(), next_attempt_at: Some(to_timestamp(a_time())), ..Default::default() };
    let under_way = Settings { provisioning: Some(buying), ..settings() };
    world.services.known().save_answer = Some(Ok(SaveNumberResponse { settings: Some(under_way), done: false }));
    let answer = save(&world).await;
    assert_eq!((answer.status, &answer.body["provisioning"]["step"]), (202, &json!("buying")));
    let saved = world.services.known().saved.remove(0);
    assert_eq!((saved.license_id.as_str(), saved.candidate_id.as_str()), ("acme", CANDIDATE));
}

#[tokio::test]
async fn a_save_that_is_refused_says_why_and_when_it_is_allowed_again() {
    let world = World::start().await;
    for (fault, status) in [
        (Fault::not_found("candidate_not_found", "No."), 404),
        (Fault::conflict("candidate_expired", "No."), 409),
        (Fault::conflict("number_taken", "No."), 409),
        (Fault::conflict("change_in_progress", "No."), 409),
        (Fault::unavailable("carrier_unreachable", "No."), 503),
    ] {
        let code = fault.code.to_string();
        world.services.known().save_answer = Some(Err(fault));
        assert_eq!(save(&world).await.problem(), (status, code.as_str(), None));
    }
    let again = "2026-04-02T15:00:00Z";
    let fault = Fault::conflict("change_limit_reached", "Once a month.").with("next_change_allowed_at", again);
    world.services.known().save_answer = Some(Err(fault));
    let answer = save(&world).await;
    assert_eq!(answer.problem(), (409, "change_limit_reached", None));
    assert_eq!(answer.body["next_change_allowed_at"], again);
    for (body, code) in [(json!({}), "missing_field"), (json!({"candidate_id": "7"}), "invalid_value")] {
        let answer = world.send("PUT", "/v1/number", &admin(), &body).await;
        assert_eq!(answer.problem(), (422, code, Some("candidate_id")));
    }
}

#[tokio::test]
async fn only_admins_and_the_backend_generate_and_save() {
    let world = World::start().await;
    world.services.known().generate_answer = Some(Ok(a_candidate()));
    let body = json!({"candidate_id": CANDIDATE});
    let manager = token(Token::default());
    assert_eq!(read(world.request("POST", CANDIDATES, &manager)).await.problem(), (403, "forbidden", None));
    assert_eq!(world.send("PUT", "/v1/number", &manager, &body).await.problem(), (403, "forbidden", None));
    assert!(world.services.known().generated.is_empty() && world.services.known().saved.is_empty());

    let request = world.request("POST", CANDIDATES, &backend()).header("Leaseline-License", "other");
    assert_eq!(read(request).await.status, 201);
    assert_eq!(world.services.known().generated[0].license_id, "other");
}

#[tokio::test]
async fn the_carrier_is_the_backends_to_choose_and_the_companys_phone_is_passed_on_as_people_write_it() {
    let world = World::start().await;
    let license = json!({"company_name": "Acme", "company_phone": "(415) 555-2671", "carrier": "telnyx"});
    let answer = world.send("PUT", "/v1/licenses/acme", &backend(), &license).await;
    assert_eq!((answer.status, &answer.body["carrier"]), (200, &json!("telnyx")));
    let put = world.services.known().licenses_put.remove(0);
    assert_eq!((put.carrier.as_deref(), put.company_phone.as_deref()), (Some("telnyx"), Some("(415) 555-2671")));

    let unheard_of = json!({"company_name": "Acme", "carrier": "pigeon"});
    let answer = world.send("PUT", "/v1/licenses/acme", &backend(), &unheard_of).await;
    assert_eq!(answer.problem(), (422, "invalid_value", Some("carrier")));
    let answer = world.send("PUT", "/v1/settings/company", &admin(), &license).await;
    assert_eq!(answer.problem(), (422, "unknown_field", Some("carrier")));
    let company = json!({"company_name": "Acme", "company_phone": "(415) 555-2671"});
    assert_eq!(world.send("PUT", "/v1/settings/company", &admin(), &company).await.status, 200);
    assert_eq!(world.services.known().licenses_put.remove(0).carrier, None, "it stays as it is");
}

#[tokio::test]
async fn a_save_may_take_longer_than_other_calls_because_it_asks_a_carrier() {
    let world = World::with(|settings| settings.upstreams.timeout_ms = 300).await;
    world.services.state().save_held.store(true, Ordering::SeqCst);
    world.services.state().numbers_hang.store(true, Ordering::SeqCst);
    world.services.known().save_answer = Some(Ok(SaveNumberResponse { settings: Some(settings()), done: true }));
    let request = world.request("PUT", "/v1/number", &admin()).json(&json!({"candidate_id": CANDIDATE}));
    let saving = tokio::spawn(read(request));
    world.services.state().save_arrived.notified().await;
    // This one begins later and is given up.
    assert_eq!(world.get("/v1/settings").await.problem(), (503, "service_unavailable", None));
    world.services.state().save_released.notify_one();
    assert_eq!(saving.await.unwrap().status, 200);
}
