//! Quiet hours and registrations, as admins and the company's backend see them (rule 18).

use chassis::Fault;
use proto::numbers::{QuietHours, Settings};
use serde_json::{Value, json};

use super::tokens::{Token, admin, backend, token};
use super::{World, read};

const HOURS: &str = "/v1/settings/quiet-hours";
const REGISTRATION: &str = "/v1/licenses/acme/registration";

fn settings() -> Settings {
    Settings {
        license_id: "acme".to_owned(),
        company_name: "Acme".to_owned(),
        carrier: "twilio".to_owned(),
        ..Default::default()
    }
}

async fn shown(world: &World, settings: Settings) -> Value {
    world.services.known().settings.insert("acme".to_owned(), settings);
    world.get("/v1/settings").await.body
}

#[tokio::test]
async fn settings_show_quiet_hours_as_times_of_day_and_the_registration_or_null() {
    let world = World::start().await;
    let body = shown(&world, settings()).await;
    assert_eq!((&body["quiet_hours"], &body["registration"]), (&json!(null), &json!(null)));
    let night = Some(QuietHours { from_minute: 1265, until_minute: 480 });
    let body = shown(&world, Settings { quiet_hours: night, brand: Some("B1".to_owned()), ..settings() }).await;
    assert_eq!(body["quiet_hours"], json!({"from": "21:05", "until": "08:00"}));
    assert_eq!(body["registration"], json!({"campaign": null, "brand": "B1"}));
    let broken = Some(QuietHours { from_minute: 1440, until_minute: 480 });
    world.services.known().settings.insert("acme".to_owned(), Settings { quiet_hours: broken, ..settings() });
    assert_eq!(world.get("/v1/settings").await.problem().0, 500);
}

#[tokio::test]
async fn an_admin_sets_quiet_hours_and_turns_them_off() {
    let world = World::start().await;
    let night = Some(QuietHours { from_minute: 1260, until_minute: 480 });
    let body = json!({"from": "21:00", "until": "08:00"});
    world.services.known().quiet_hours.answer = Ok(Settings { quiet_hours: night, ..settings() });
    let answer = world.send("PUT", HOURS, &admin(), &body).await;
    assert_eq!((answer.status, &answer.body["quiet_hours"]), (200, &body));
    world.services.known().quiet_hours.answer = Ok(settings());
    let answer = read(world.request("DELETE", HOURS, &admin())).await;
    assert_eq!((answer.status, &answer.body["quiet_hours"]), (200, &json!(null)));
    let asked = std::mem::take(&mut world.services.known().quiet_hours.asked);
    assert!(asked.iter().all(|each| each.license_id == "acme"));
    assert_eq!(asked.iter().map(|each| each.quiet_hours).collect::<Vec<_>>(), [night, None]);

    for (body, code, field) in [
        (json!({"from": "9 pm", "until": "08:00"}), "quiet_hours_invalid", "from"),
        (json!({"from": "21:00", "until": "24:00"}), "quiet_hours_invalid", "until"),
        (json!({"from": "21:00"}), "missing_field", "until"),
        (json!({"from": 21, "until": "08:00"}), "invalid_value", "from"),
        (json!({"from": "21:00", "until": "08:00", "zone": "x"}), "unknown_field", "zone"),
    ] {
        assert_eq!(world.send("PUT", HOURS, &admin(), &body).await.problem(), (422, code, Some(field)));
    }
    for (method, body) in [("PUT", &body), ("DELETE", &json!(null))] {
        let manager = token(Token::default());
        assert_eq!(world.send(method, HOURS, &manager, body).await.problem(), (403, "forbidden", None));
    }
    assert!(world.services.known().quiet_hours.asked.is_empty(), "the service is not asked");
    // What only the service knows passes through.
    let same = Fault::invalid("until", "quiet_hours_invalid", "No.");
    world.services.known().quiet_hours.answer = Err(same);
    let answer = world.send("PUT", HOURS, &admin(), &json!({"from": "08:00", "until": "08:00"})).await;
    assert_eq!(answer.problem(), (422, "quiet_hours_invalid", Some("until")));
}

#[tokio::test]
async fn only_the_backend_says_under_which_registration_a_license_sends() {
    let world = World::start().await;
    let body = json!({"campaign": "C1", "brand": "B_1"});
    for refused in [token(Token::default()), admin()] {
        assert_eq!(world.send("PUT", REGISTRATION, &refused, &body).await.problem(), (403, "forbidden", None));
    }
    let registered = Settings { campaign: Some("C1".to_owned()), brand: Some("B_1".to_owned()), ..settings() };
    world.services.known().registration.answer = Ok(registered);
    let answer = world.send("PUT", REGISTRATION, &backend(), &body).await;
    assert_eq!((answer.status, &answer.body["registration"]), (200, &body));
    for nothing in [json!({}), json!({"campaign": null, "brand": null})] {
        assert_eq!(world.send("PUT", REGISTRATION, &backend(), &nothing).await.status, 200);
    }
    let asked = std::mem::take(&mut world.services.known().registration.asked);
    assert!(asked.iter().all(|each| each.license_id == "acme"));
    let asked: Vec<_> = asked.iter().map(|each| (each.campaign.as_deref(), each.brand.as_deref())).collect();
    assert_eq!(asked, [(Some("C1"), Some("B_1")), (None, None), (None, None)]);
    for (fault, expected) in [
        (Fault::invalid("brand", "brand_invalid", "No."), (422, "brand_invalid", Some("brand"))),
        (Fault::not_found("license_not_found", "None."), (404, "license_not_found", None)),
    ] {
        world.services.known().registration.answer = Err(fault);
        assert_eq!(world.send("PUT", REGISTRATION, &backend(), &body).await.problem(), expected);
    }
}
