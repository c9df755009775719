//! The reconciler: what the account owns beside what it should (rule 5).

use std::time::Duration;

use super::world::{CARRIERS, LATER, Replica, World, license};
use crate::model::audit::{FindingKind, Report};

async fn audit(world: &World, replica: &Replica, repair: bool) -> Report {
    // Assignments of the same moment are not looked for.
    world.clock.advance(Duration::from_secs(1));
    let reports = replica.auditor.audit(repair).await.unwrap();
    assert_eq!(reports.len(), CARRIERS.len());
    reports.into_iter().find(|report| report.carrier == world.carrier).unwrap()
}

fn shown(report: &Report) -> Vec<(FindingKind, &str, Option<String>, bool)> {
    let show = |id: &domain::LicenseId| id.to_string();
    let findings = report.findings.iter();
    findings
        .map(|found| (found.kind, found.number.as_str(), found.license_id.as_ref().map(show), found.repaired))
        .collect()
}

#[tokio::test]
async fn an_account_that_is_as_it_should_be_has_no_findings() {
    for carrier in CARRIERS {
        let (world, replica, _) = World::with_number(carrier).await;
        let offer = replica.generate("acme", None).await.unwrap();
        assert!(replica.save("acme", offer.candidate_id).await.unwrap().done);
        // With the old number still to be given back.
        let report = audit(&world, &replica, true).await;
        assert_eq!((report.owned, report.expected, report.error), (2, 2, None), "{carrier}");
        assert_eq!(shown(&report), [], "{carrier}");
    }
}

#[tokio::test]
async fn an_orphan_that_we_bought_is_reported_and_given_back() {
    for carrier in CARRIERS {
        let (world, replica, assigned) = World::with_number(carrier).await;
        // A purchase that nobody heard of: chosen once, and given up since.
        let strange = replica.find_for_sale(carrier).await;
        replica.buy_past_us(carrier, strange, "acme").await;
        sqlx::query("insert into purchases (number, carrier, license_id, chosen_at) values ($1, $2, 'acme', now())")
            .bind(strange.as_str())
            .bind(carrier.as_str())
            .execute(&world.pool())
            .await
            .unwrap();
        let acme = Some("acme".to_owned());
        let report = audit(&world, &replica, false).await;
        assert_eq!(shown(&report), [(FindingKind::Orphaned, strange.as_str(), acme.clone(), false)], "{carrier}");
        assert_eq!((report.owned, report.expected), (2, 1));
        assert_eq!(world.count("releases").await, 0, "{carrier}: only reported");

        let report = audit(&world, &replica, true).await;
        assert_eq!(shown(&report), [(FindingKind::Orphaned, strange.as_str(), acme, true)], "{carrier}");
        assert_eq!(shown(&audit(&world, &replica, true).await), [], "{carrier}: on its way");
        replica.settle_all().await;
        assert_eq!(world.assert_one_number_owned_and_assigned(carrier.as_str()).await, assigned);
    }
}

#[tokio::test]
async fn what_we_never_bought_is_reported_and_left_alone() {
    for carrier in CARRIERS {
        let (world, replica, _) = World::with_number(carrier).await;
        for tag in ["acme", "somebody"] {
            let strange = replica.find_for_sale(carrier).await;
            replica.buy_past_us(carrier, strange, tag).await;
        }
        let report = audit(&world, &replica, true).await;
        assert_eq!(report.count(FindingKind::Foreign), 2, "{carrier}");
        assert_eq!(report.repaired, 0);
        for owned in world.owned().await {
            let now = world.clock.now();
            assert!(!replica.store.record_orphan(carrier, &owned, &license("acme"), now).await.unwrap());
        }
        replica.settle_all().await;
        assert_eq!(world.owned().await.len(), 3, "{carrier}");
    }
}

#[tokio::test]
async fn a_number_in_the_hands_of_a_saga_is_left_to_it() {
    for carrier in CARRIERS {
        let (world, replica, _) = World::with_number(carrier).await;
        let offer = replica.generate("acme", None).await.unwrap();
        world.set_fault("buy", "http_500_after_accept", Some(1)).await;
        assert!(!replica.save("acme", offer.candidate_id).await.unwrap().done);
        // An order is settled a moment after it was placed.
        testkit::eventually("the purchase", async || {
            let owned = world.owned().await;
            if owned.len() == 2 { Ok(()) } else { Err(owned) }
        })
        .await;
        let report = audit(&world, &replica, true).await;
        assert_eq!((shown(&report), report.owned, report.expected), (Vec::new(), 2, 2), "{carrier}");
        world.clock.advance(LATER);
        replica.settle_all().await;
        assert_eq!(world.assert_one_number_owned_and_assigned(carrier.as_str()).await, offer.number);
    }
}

#[tokio::test]
async fn an_assigned_number_that_the_account_does_not_own_is_reported_as_missing() {
    for carrier in CARRIERS {
        let (world, replica, assigned) = World::with_number(carrier).await;
        assert_eq!(shown(&audit(&world, &replica, true).await), []);
        world.simulator.lose_number(assigned.as_str()).await;
        let acme = Some("acme".to_owned());
        let report = audit(&world, &replica, true).await;
        assert_eq!(shown(&report), [(FindingKind::Missing, assigned.as_str(), acme, false)], "{carrier}");
        assert_eq!((report.owned, report.expected), (0, 1));
        assert_eq!(world.number("acme").await, Some(assigned), "{carrier}: a person decides");
    }
}

#[tokio::test]
async fn a_number_with_another_tag_or_other_webhooks_is_configured_again() {
    for carrier in CARRIERS {
        let (world, replica, assigned) = World::with_number(carrier).await;
        let owned = world.owned().await.remove(0);
        let webhooks = carriers::WebhookAddresses::parse("https://elsewhere.example.com").unwrap().of_number(carrier);
        let order = carriers::NumberOrder { number: assigned, license_id: license("other"), webhooks };
        replica.calls.find(carrier).unwrap().configure_number(&owned, &order).await.unwrap();

        let acme = Some("acme".to_owned());
        let report = audit(&world, &replica, false).await;
        let found = (FindingKind::Misconfigured, assigned.as_str(), acme.clone(), false);
        assert_eq!(shown(&report), [found], "{carrier}");
        let report = audit(&world, &replica, true).await;
        assert_eq!(shown(&report), [(FindingKind::Misconfigured, assigned.as_str(), acme, true)], "{carrier}");
        assert_eq!(shown(&audit(&world, &replica, true).await), [], "{carrier}");
        world.assert_one_number_owned_and_assigned(carrier.as_str()).await;
    }
}

#[tokio::test]
async fn an_account_that_cannot_be_read_to_its_end_is_said_so_and_nothing_is_called_missing() {
    for carrier in CARRIERS {
        let (world, replica, _) = World::with_number(carrier).await;
        world.set_fault("list", "http_429", None).await;
        let report = audit(&world, &replica, true).await;
        assert_eq!((shown(&report), report.error), (Vec::new(), Some("carrier_throttled")), "{carrier}");
    }
}

#[tokio::test]
async fn one_replica_at_a_time_audits() {
    let world = World::new(CARRIERS[0]).await;
    let (one, other) = (world.replica(), world.replica());
    let interval = Duration::from_hours(1);
    for turn in 0..2 {
        let now = world.clock.now();
        let (first, second) =
            tokio::join!(one.store.take_audit_turn(interval, now), other.store.take_audit_turn(interval, now));
        assert!(first.unwrap() != second.unwrap(), "turn {turn}");
        assert!(!one.store.take_audit_turn(interval, now).await.unwrap());
        world.clock.advance(interval);
    }
}
