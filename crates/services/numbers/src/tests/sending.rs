//! Quiet hours and registrations are kept, shown, and told when they really change (rule 18).

use proto::numbers::{CompanyChanged, PutQuietHoursRequest, PutRegistrationRequest, QuietHours, SendingChanged};

use super::world::{CARRIERS, Replica, World, fault};
use crate::error::Error;
use crate::model::license::LicenseSettings;

const NIGHT: Option<QuietHours> = Some(QuietHours { from_minute: 1260, until_minute: 480 });

async fn set_quiet(replica: &Replica, id: &str, quiet_hours: Option<QuietHours>) -> Result<LicenseSettings, Error> {
    let request = PutQuietHoursRequest { license_id: id.to_owned(), quiet_hours };
    replica.licenses.put_quiet_hours(request).await
}

async fn register(
    replica: &Replica,
    id: &str,
    campaign: Option<&str>,
    brand: Option<&str>,
) -> Result<LicenseSettings, Error> {
    let (campaign, brand) = (campaign.map(str::to_owned), brand.map(str::to_owned));
    replica.licenses.put_registration(PutRegistrationRequest { license_id: id.to_owned(), campaign, brand }).await
}

#[tokio::test]
async fn settings_show_quiet_hours_and_registration_and_each_real_change_is_an_event() {
    let world = World::new(CARRIERS[0]).await;
    let replica = world.replica();
    let fresh: proto::numbers::Settings = replica.put_license("acme", None).await.unwrap().into();
    assert_eq!((fresh.quiet_hours, fresh.campaign, fresh.brand), (None, None, None));
    set_quiet(&replica, "acme", None).await.unwrap();
    register(&replica, "acme", None, None).await.unwrap();
    assert!(world.events::<SendingChanged>().await.is_empty(), "nothing was said that is not so already");

    let quiet = set_quiet(&replica, "acme", NIGHT).await.unwrap();
    set_quiet(&replica, "acme", NIGHT).await.unwrap();
    let registered = register(&replica, "acme", Some("C1"), Some("B_1")).await.unwrap();
    register(&replica, "acme", Some("C1"), Some("B_1")).await.unwrap();
    register(&replica, "acme", None, Some("B_1")).await.unwrap();
    let off = set_quiet(&replica, "acme", None).await.unwrap();
    set_quiet(&replica, "acme", None).await.unwrap();

    let shown = |settings: LicenseSettings| {
        let shown = proto::numbers::Settings::from(settings);
        (shown.quiet_hours, shown.campaign, shown.brand)
    };
    assert_eq!(shown(quiet), (NIGHT, None, None));
    assert_eq!(shown(registered), (NIGHT, Some("C1".to_owned()), Some("B_1".to_owned())));
    assert_eq!(shown(off), (None, None, Some("B_1".to_owned())));
    assert_eq!(shown(world.settings("acme").await), (None, None, Some("B_1".to_owned())));

    let events: Vec<SendingChanged> = world.events().await;
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.quiet_hours, event.campaign.as_deref(), event.brand.as_deref(), event.version))
        .collect();
    assert_eq!(
        told,
        [
            (NIGHT, None, None, 1),
            (NIGHT, Some("C1"), Some("B_1"), 2),
            (NIGHT, None, Some("B_1"), 3),
            (None, None, Some("B_1"), 4),
        ]
    );
    let now = Some(proto::to_timestamp(world.clock.now()));
    assert!(events.iter().all(|event| event.license_id == "acme" && event.changed_at == now));

    // Who has the settings open hears of each of them too.
    let heard: Vec<CompanyChanged> = world.events().await;
    assert_eq!(heard.iter().map(|event| event.version).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert!(heard.iter().all(|event| event.company_name == heard[0].company_name));
}

#[tokio::test]
async fn how_a_license_sends_stays_when_its_company_changes_and_changes_no_route() {
    let (world, replica, _) = World::with_number(CARRIERS[0]).await;
    world.bus.declare().await.unwrap();
    while replica.routes.publish_stale().await.unwrap() > 0 {}
    set_quiet(&replica, "acme", NIGHT).await.unwrap();
    register(&replica, "acme", Some("C1"), None).await.unwrap();
    assert_eq!(world.count("stale_routes").await, 0);
    let settings: proto::numbers::Settings = replica.put_license("acme", None).await.unwrap().into();
    assert_eq!((settings.quiet_hours, settings.campaign.as_deref()), (NIGHT, Some("C1")));
    assert_eq!(world.events::<SendingChanged>().await.len(), 2);
}

#[tokio::test]
async fn two_changes_at_the_same_moment_both_count() {
    let world = World::new(CARRIERS[0]).await;
    let (one, other) = (world.replica(), world.replica());
    one.put_license("acme", None).await.unwrap();
    world.open_connections().await;
    let (quiet, registered) =
        tokio::join!(set_quiet(&one, "acme", NIGHT), register(&other, "acme", Some("C1"), Some("B1")));
    quiet.unwrap();
    registered.unwrap();
    let settings: proto::numbers::Settings = world.settings("acme").await.into();
    assert_eq!((settings.quiet_hours, settings.campaign.as_deref()), (NIGHT, Some("C1")));
    let events: Vec<SendingChanged> = world.events().await;
    let last = events.iter().max_by_key(|event| event.version).unwrap();
    assert_eq!((events.len(), last.version), (2, 2));
    assert_eq!((last.quiet_hours, last.brand.as_deref()), (NIGHT, Some("B1")));
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_field_and_changes_nothing() {
    let world = World::new(CARRIERS[0]).await;
    let replica = world.replica();
    replica.put_license("acme", None).await.unwrap();
    for (from_minute, until_minute, field) in [(1440, 480, "from"), (480, 1440, "until"), (480, 480, "until")] {
        let refused =
            fault(set_quiet(&replica, "acme", Some(QuietHours { from_minute, until_minute })).await.unwrap_err());
        assert_eq!((refused.code.as_ref(), refused.field.as_deref()), ("quiet_hours_invalid", Some(field)));
    }
    for (campaign, brand, code, field) in [
        (Some("a b"), None, "campaign_invalid", "campaign"),
        (None, Some(""), "brand_invalid", "brand"),
        (Some("C1"), Some("B.1"), "brand_invalid", "brand"),
    ] {
        let refused = fault(register(&replica, "acme", campaign, brand).await.unwrap_err());
        assert_eq!((refused.code.as_ref(), refused.field.as_deref()), (code, Some(field)));
    }
    for refused in [set_quiet(&replica, "nobody", None).await, register(&replica, "nobody", Some("C1"), None).await] {
        assert_eq!(fault(refused.unwrap_err()).code, "license_not_found");
    }
    assert!(world.events::<SendingChanged>().await.is_empty());
}
