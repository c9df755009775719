//! Rule 18, the limits above the pace of a number: of campaigns at networks and of brands in a day, and what carriers say of
//! them.

use std::collections::BTreeMap;
use std::time::Duration;

use carriers::SendOutcome;
use chrono::{DateTime, Utc};
use domain::{Network, SendingLimit};
use proto::conversations::Priority::{Batch, Reply};
use proto::numbers::SendingChanged;

use super::estimates::{assert_within_ten_percent, sent_at};
use super::lanes::waiting_at;
use super::withdrawals::new_batch;
use super::*;
use crate::call::{Called, Ending};
use crate::model::{BrandLimits, CampaignLimits};
use crate::record::Finished;
use crate::slots::Slots;

const ATT: &str = "+12125550101";
const T_MOBILE: &str = "+12125550102";
const VERIZON: &str = "+12125550103";
const NOBODY_KNOWS: &str = "+12125550104";

/// Segments a second at AT&T.
fn att(per_second: f64) -> LimitTree {
    let campaign = CampaignLimits { att: Pace::per_second(per_second).unwrap(), ..CampaignLimits::OFF };
    LimitTree { campaign, ..LimitTree::OFF }
}

fn brand(limits: BrandLimits) -> LimitTree {
    LimitTree { brand: limits, ..LimitTree::OFF }
}

impl World {
    /// A world with these limits, in which the networks of some phones are known.
    async fn limited(limits: LimitTree) -> Self {
        let world = Self { limits, ..Self::new().await };
        for (phone, network) in [(ATT, Network::Att), (T_MOBILE, Network::TMobile), (VERIZON, Network::Verizon)] {
            sqlx::query(
                "insert into lines (number, cannot_receive_sms, learned_at, known_until, network)
                 values ($1, false, $2, $2 + interval '90 days', $3)",
            )
            .bind(phone)
            .bind(world.clock.now())
            .bind(network.as_str())
            .execute(&world.database.pool)
            .await
            .unwrap();
        }
        world
    }

    async fn register(&self, license: &str, campaign: Option<&str>, brand: Option<&str>, version: u64) {
        let event = SendingChanged {
            license_id: license.to_owned(),
            campaign: campaign.map(str::to_owned),
            brand: brand.map(str::to_owned),
            version,
            ..SendingChanged::default()
        };
        self.change_sending(event).await.unwrap();
    }

    /// A receipt that says that a limit was reached.
    async fn failed_for(&self, message_id: &str, limit: &str) {
        let (code, detail) = ("rejected_by_carrier".to_owned(), "No.".to_owned());
        let error = proto::ingest::Error { code, detail, limit: Some(limit.to_owned()) };
        self.receipt_of(message_id, "failed", Some(error)).await;
    }

    /// Everything that happens by itself within this time, a tenth of a second at a time.
    async fn live_finely(&self, sender: &Sender, tenths: u32) {
        for _ in 0..tenths {
            self.clock.advance(Duration::from_millis(100));
            self.release().await;
            self.work(sender).await;
        }
    }

    /// Sends one and says which it was.
    async fn send_one(&self, sender: &Sender, license: &str, to: &str) -> String {
        let message = self.queue(license, to, Reply, 1).await.remove(0);
        self.work(sender).await;
        assert_eq!(self.state(&message).await, "accepted");
        message
    }

    /// How a message fares that comes now: the state that it is left in.
    async fn fate(&self, sender: &Sender, license: &str, to: &str) -> String {
        let message = self.queue(license, to, Reply, 1).await.remove(0);
        self.work(sender).await;
        self.state(&message).await
    }
}

#[tokio::test]
async fn a_campaign_s_pace_at_a_network_does_not_hold_up_other_networks() {
    let world = World::limited(att(1.0)).await;
    world.assign("acme", 1).await;
    let to_att = world.queue("acme", ATT, Batch, 40).await;
    let to_verizon = world.queue("acme", VERIZON, Batch, 10).await;
    let unknown = world.queue("acme", NOBODY_KNOWS, Batch, 5).await;
    let sender = world.replica(10.0);
    world.work(&sender).await;
    world.live_finely(&sender, 21).await;
    assert_eq!(world.texts(VERIZON).await, to_verizon);
    assert_eq!(world.texts(NOBODY_KNOWS).await, unknown);
    assert_eq!(world.texts(ATT).await, to_att[..3], "now, after one second, after two");

    let reply = world.queue("acme", ATT, Reply, 1).await.remove(0);
    world.live_finely(&sender, 10).await;
    assert_eq!(world.texts(ATT).await[3], reply, "replies go before batches there too");
    let other = world.queue("acme", VERIZON, Reply, 1).await.remove(0);
    world.live_finely(&sender, 20).await;
    assert!(world.texts(VERIZON).await.contains(&other), "at once or soon");
}

#[tokio::test]
async fn what_a_message_waits_for_is_right_within_ten_percent_also_where_its_campaign_is_slower_than_its_number() {
    let world = World::limited(att(0.5)).await;
    world.assign("acme", 1).await;
    let batch = new_batch();
    let messages = world.queue_batch(&batch, ATT, 10).await;
    let others = world.queue_batch(&batch, VERIZON, 5).await;
    let sender = world.replica(1.0);
    let asked: Vec<&String> = messages.iter().chain(&others).collect();
    let said = waiting_at(&world, CarrierName::ALL, 1.0, "acme", &asked).await;
    let asked_at = world.clock.now();
    world.work(&sender).await;
    world.live_finely(&sender, 220).await;
    let sent = sent_at(&world).await;
    for (message, (reason, until)) in asked.into_iter().zip(said) {
        assert_eq!(reason, "pace");
        assert_within_ten_percent(asked_at, until, sent[message]);
    }
}

#[tokio::test]
async fn thousands_to_a_network_that_is_stopped_do_not_hold_up_one_to_another() {
    let world = World::limited(att(0.1)).await;
    world.assign("acme", 1).await;
    world.queue("acme", ATT, Batch, 2_000).await;
    let behind = world.queue("acme", VERIZON, Batch, 2).await;
    let sender = world.replica(1.0);
    world.work(&sender).await;
    world.live_finely(&sender, 20).await;
    assert_eq!((world.texts(ATT).await.len(), world.texts(VERIZON).await), (1, behind));
    assert_eq!(world.count("held").await, 0);
}

#[tokio::test]
async fn licenses_that_share_a_campaign_share_its_pace_in_fair_turns_and_others_have_their_own() {
    let world = World::limited(att(2.0)).await;
    for license in ["acme", "bree", "cole", "dora"] {
        world.assign(license, 1).await;
        if license != "dora" {
            world.register(license, Some("C1"), None, 1).await;
        }
        world.queue(license, ATT, Batch, 40).await;
    }
    let sender = world.replica(5.0);
    world.work(&sender).await;
    world.live_finely(&sender, 120).await;
    let sent: Vec<(String, i64)> =
        sqlx::query_as("select license_id, count(*) from attempts group by license_id order by license_id")
            .fetch_all(&world.database.pool)
            .await
            .unwrap();
    let sent: BTreeMap<String, i64> = sent.into_iter().collect();
    let shared: i64 = ["acme", "bree", "cole"].iter().map(|license| sent[*license]).sum();
    assert!((24..=26).contains(&shared), "{sent:?}");
    assert!(["acme", "bree", "cole"].iter().all(|license| (7..=9).contains(&sent[*license])), "{sent:?}");
    assert!((24..=26).contains(&sent["dora"]), "{sent:?}");
}

#[tokio::test]
async fn a_brand_s_day_ends_at_midnight_pacific_and_each_message_says_so() {
    let world = World::limited(brand(BrandLimits { t_mobile_per_day: 5, per_day: 0 })).await;
    for license in ["acme", "bree"] {
        world.assign(license, 1).await;
        world.register(license, None, Some("B1"), 1).await;
    }
    let first = MessageQueued { segments: 3, ..world.queued("acme", T_MOBILE, Reply) };
    world.take_over(std::slice::from_ref(&first)).await;
    let sender = world.replica(0.0);
    world.work(&sender).await;
    let too_long = MessageQueued { segments: 3, ..world.queued("bree", T_MOBILE, Reply) };
    world.take_over(std::slice::from_ref(&too_long)).await;
    let fits = world.queue("bree", T_MOBILE, Reply, 3).await;
    let elsewhere = world.queue("bree", ATT, Batch, 2).await;
    world.work(&sender).await;
    assert_eq!(world.texts(T_MOBILE).await, [&first.message_id, &fits[0], &fits[1]].map(String::clone));
    assert_eq!(world.texts(ATT).await, elsewhere);
    let midnight: DateTime<Utc> = "2026-03-03T08:00:00Z".parse().unwrap();
    let said = waiting_at(&world, CarrierName::ALL, 0.0, "bree", &[&too_long.message_id, &fits[2]]).await;
    assert_eq!(said, [("daily_limit".to_owned(), Some(midnight)), ("daily_limit".to_owned(), Some(midnight))]);

    world.clock.advance((midnight - world.clock.now() - TimeDelta::seconds(1)).to_std().unwrap());
    world.sweep().await;
    world.release().await;
    world.work(&sender).await;
    assert_eq!(world.count("held").await, 2, "they keep their patience");
    world.live(&sender, 1).await;
    assert_eq!(world.texts(T_MOBILE).await[3..], [too_long.message_id, fits[2].clone()]);
    let day: (i32, chrono::NaiveDate) =
        sqlx::query_as("select used, day from limits where network = 't_mobile' and scope = 'brand'")
            .fetch_one(&world.database.pool)
            .await
            .unwrap();
    assert_eq!(day, (4, chrono::NaiveDate::from_ymd_opt(2026, 3, 3).unwrap()));
}

#[tokio::test]
async fn what_goes_as_the_last_of_a_day_is_not_held_with_those_behind_it() {
    let world = World::limited(brand(BrandLimits { t_mobile_per_day: 0, per_day: 3 })).await;
    world.assign("acme", 1).await;
    let messages = world.queue("acme", ATT, Batch, 20).await;
    let request = ClaimRequest { limits: world.tree(), most_per_lane: 4, ..everything(Pace::OFF) };
    let claim = world.store.claim(&request, world.clock.now()).await.unwrap();
    let claimed: Vec<String> = claim.claimed.iter().map(|each| each.key.message_id.to_string()).collect();
    assert_eq!((claimed.as_slice(), world.count("held").await), (&messages[..3], 17));
}

#[tokio::test]
async fn a_text_that_would_fit_into_a_day_does_not_overtake_the_one_before_it_that_does_not() {
    let world = World::limited(brand(BrandLimits { t_mobile_per_day: 0, per_day: 3 })).await;
    world.assign("acme", 1).await;
    world.queue("acme", VERIZON, Reply, 2).await;
    let long = MessageQueued { segments: 2, ..world.queued("acme", ATT, Reply) };
    let short = MessageQueued { follows: Some(long.message_id.clone()), ..world.queued("acme", ATT, Reply) };
    world.take_over(&[long.clone(), short.clone()]).await;
    for _ in 0..5 {
        world.work(&world.replica(0.0)).await;
        world.clock.advance(Duration::from_secs(1));
    }
    let states = [world.state(&long.message_id).await, world.state(&short.message_id).await];
    assert_eq!(states, ["held", "waiting"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shared_limits_are_exact_when_replicas_claim_at_the_same_moment() {
    let limits = brand(BrandLimits { t_mobile_per_day: 0, per_day: 50 });
    let world = World::limited(limits.clone()).await;
    let licenses: Vec<String> = (0..10).map(|n| format!("license-{n}")).collect();
    for license in &licenses {
        world.assign(license, 1).await;
        world.register(license, Some("C1"), Some("B1"), 1).await;
        world.queue(license, ATT, Batch, 10).await;
    }
    let request = ClaimRequest { limits: std::sync::Arc::new(limits), free: 7, ..everything(Pace::OFF) };
    let mut claimed = 0;
    for _ in 0..10 {
        let claims = [(); 4].map(|()| {
            let (store, now, request) = (world.store.clone(), world.clock.now(), request.clone());
            tokio::spawn(async move { store.claim(&request, now).await })
        });
        for claim in claims {
            claimed += claim.await.unwrap().unwrap().claimed.len();
        }
    }
    assert_eq!((claimed, world.count("held").await), (50, 50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pace_is_exact_within_two_percent_over_a_minute_with_two_replicas() {
    // Of a number, and of a campaign that three licenses share.
    for (rate, shared) in [(1.0, false), (50.0, false), (1.0, true), (50.0, true)] {
        let limits = if shared { att(rate) } else { LimitTree::OFF };
        let world = World::limited(limits.clone()).await;
        let licenses: &[&str] = if shared { &["acme", "bree", "cole"] } else { &["acme"] };
        for license in licenses {
            world.assign(license, 1).await;
            world.register(license, Some("C1"), None, 1).await;
            world.queue(license, ATT, Batch, if rate > 1.0 { 3_200 / licenses.len() } else { 70 }).await;
        }
        let pace = if shared { Pace::OFF } else { Pace::per_second(rate).unwrap() };
        let request =
            ClaimRequest { limits: std::sync::Arc::new(limits), most_per_lane: 40, free: 100, ..everything(pace) };
        let (start, mut claimed, mut step) = (world.clock.now(), 0_u32, 0_u64);
        // Turns come late by chance, as they do.
        let lateness = [90, 110, 230, 40, 170, 310, 60, 130];
        while world.clock.now() - start < TimeDelta::minutes(1) {
            let claims = [(); 2].map(|()| {
                let (store, now, request) = (world.store.clone(), world.clock.now(), request.clone());
                tokio::spawn(async move { store.claim(&request, now).await })
            });
            for claim in claims {
                claimed += u32::try_from(claim.await.unwrap().unwrap().claimed.len()).unwrap();
            }
            world.clock.advance(Duration::from_millis(lateness[usize::try_from(step % 8).unwrap()]));
            step += 1;
        }
        let expected = rate * 60.0;
        let off = (f64::from(claimed) - expected).abs();
        // One segment goes at once, and one may be due.
        assert!(off <= (expected * 0.02).max(1.0), "{rate} a second, shared {shared}: {claimed}");
    }
}

#[tokio::test]
async fn a_number_whose_queue_is_full_pauses_its_lane_for_longer_each_time() {
    let world = World::limited(LimitTree::OFF).await;
    for license in ["acme", "bree"] {
        world.assign(license, 1).await;
    }
    let sender = world.replica(0.0);
    for seconds in [30, 60, 120] {
        let message = world.send_one(&sender, "acme", ATT).await;
        world.failed_for(&message, "sender").await;
        world.failed_for(&message, "sender").await;
        let waiting = world.queue("acme", ATT, Reply, 1).await.remove(0);
        world.work(&sender).await;
        let until = world.clock.now() + Duration::from_secs(seconds);
        let said = waiting_at(&world, CarrierName::ALL, 0.0, "acme", &[&waiting]).await;
        assert_eq!(said, [("carrier_throttled".to_owned(), Some(until))]);
        assert_eq!(world.fate(&sender, "bree", ATT).await, "accepted", "another number");
        world.clock.advance(Duration::from_secs(seconds));
        world.work(&sender).await;
        assert_eq!(world.state(&waiting).await, "accepted");
        assert_eq!(world.state(&message).await, "accepted", "what failed is not sent again");
    }
    let message = world.send_one(&sender, "acme", ATT).await;
    world.assign("acme", 2).await;
    world.failed_for(&message, "sender").await;
    assert_eq!(world.fate(&sender, "acme", ATT).await, "accepted", "the new number has a queue of its own");
}

#[tokio::test]
async fn a_campaign_that_is_too_fast_at_a_network_pauses_there_and_only_there() {
    for limits in [LimitTree::OFF, att(100.0)] {
        let world = World::limited(limits).await;
        for (license, campaign) in [("acme", Some("C1")), ("bree", Some("C1")), ("cole", None)] {
            world.assign(license, 1).await;
            world.register(license, campaign, None, 1).await;
        }
        let sender = world.replica(0.0);
        let message = world.send_one(&sender, "acme", ATT).await;
        world.failed_for(&message, "campaign").await;
        let stopped = world.queue("bree", ATT, Reply, 1).await.remove(0);
        let behind = world.queue("bree", VERIZON, Batch, 1).await.remove(0);
        world.work(&sender).await;
        let until = world.clock.now() + Duration::from_secs(30);
        let said = waiting_at(&world, CarrierName::ALL, 0.0, "bree", &[&stopped]).await;
        assert_eq!(said, [("carrier_throttled".to_owned(), Some(until))], "the same campaign");
        assert_eq!(world.state(&behind).await, "accepted", "another network");
        assert_eq!(world.fate(&sender, "cole", ATT).await, "accepted", "another campaign");
        world.live(&sender, 29).await;
        assert_eq!(world.state(&stopped).await, "held");
        world.live(&sender, 1).await;
        assert_eq!(world.state(&stopped).await, "accepted");
        world.live(&sender, 1).await;
        let message = world.send_one(&sender, "acme", ATT).await;
        world.failed_for(&message, "campaign").await;
        world.queue("bree", ATT, Reply, 1).await;
        world.live(&sender, 59).await;
        assert_eq!(world.count("held").await, 1, "twice as long");
        world.live(&sender, 1).await;
        assert_eq!(world.count("held").await, 0);
    }
}

#[tokio::test]
async fn what_a_throttled_campaign_holds_has_no_more_patience_than_what_waits() {
    let world = World::limited(LimitTree::OFF).await;
    world.assign("acme", 1).await;
    let sender = world.replica(0.0);
    let message = world.send_one(&sender, "acme", ATT).await;
    world.failed_for(&message, "campaign").await;
    let stopped = world.queue("acme", ATT, Reply, 1).await.remove(0);
    world.work(&sender).await;
    assert_eq!(world.state(&stopped).await, "held");
    world.clock.advance(Duration::from_secs(36_001));
    world.release().await;
    world.sweep().await;
    assert_eq!(world.state(&stopped).await, "failed");
}

#[tokio::test]
async fn a_daily_limit_that_a_carrier_speaks_of_closes_the_brand_until_midnight_pacific() {
    for (limit, elsewhere) in [("network_day", "accepted"), ("brand_day", "held")] {
        let world = World::limited(LimitTree::OFF).await;
        for (license, brand) in [("acme", Some("B1")), ("bree", Some("B1")), ("cole", None)] {
            world.assign(license, 1).await;
            world.register(license, None, brand, 1).await;
        }
        let sender = world.replica(0.0);
        let message = world.send_one(&sender, "acme", T_MOBILE).await;
        world.failed_for(&message, limit).await;
        assert_eq!(world.fate(&sender, "bree", T_MOBILE).await, "held", "{limit}");
        assert_eq!(world.fate(&sender, "bree", ATT).await, elsewhere, "{limit}");
        assert_eq!(world.fate(&sender, "cole", T_MOBILE).await, "accepted", "{limit}: another brand");
        world.register("bree", None, Some("B2"), 2).await;
        world.work(&sender).await;
        assert_eq!(world.count("held").await, 0, "{limit}: it is of another brand now");
        world.clock.advance(Duration::from_hours(17));
        assert_eq!(world.fate(&sender, "acme", T_MOBILE).await, "accepted", "{limit}: the next day");
    }
}

#[tokio::test]
async fn what_a_limit_stopped_when_it_was_given_to_the_carrier_waits_and_others_go_on() {
    let world = World::limited(LimitTree::OFF).await;
    world.assign("acme", 1).await;
    let stopped = world.queue("acme", ATT, Reply, 1).await.remove(0);
    let sender = world.replica(0.0);
    let (recorder, finished) = sender.recorder();
    let claimed = world.store.claim(&everything(Pace::OFF), world.clock.now()).await.unwrap().claimed.remove(0);
    let slot = Slots::new(1, Hint::default()).take(claimed.key.license_id.clone());
    let outcome = SendOutcome::Throttled { retry_after: None, limit: Some(SendingLimit::Campaign) };
    let called = Called { ending: Ending::Sent(outcome), learned: None, network: None, lookup: None };
    finished.send(Finished { claimed, called, slot }).await.unwrap();
    drop(finished);
    recorder.run().await;
    world.work(&sender).await;
    assert_eq!(world.state(&stopped).await, "held");
    assert_eq!(world.fate(&sender, "acme", VERIZON).await, "accepted");
    world.live(&sender, 30).await;
    assert_eq!(world.texts(ATT).await, [stopped]);
}

#[tokio::test]
async fn a_network_that_a_lookup_tells_is_kept_and_counts_from_then_on() {
    for carrier in CarrierName::ALL {
        let world = World::limited(brand(BrandLimits { t_mobile_per_day: 1, per_day: 0 })).await;
        world.assign_at(*carrier, "acme", 1).await;
        let sender = world.asking_replica(0.0);
        // Nobody knows yet whose it is; the simulator's last digit tells.
        world.send_one(&sender, "acme", PHONE).await;
        let networks: Vec<String> = sqlx::query_scalar("select network from lines where number = $1")
            .bind(PHONE)
            .fetch_all(&world.database.pool)
            .await
            .unwrap();
        assert_eq!(networks, ["t_mobile"], "{carrier}");
        assert_eq!(world.fate(&sender, "acme", PHONE).await, "accepted", "{carrier}: the first that counts");
        assert_eq!(world.fate(&sender, "acme", PHONE).await, "held", "{carrier}");
    }
}

#[tokio::test]
async fn without_limits_nothing_is_counted_and_no_network_is_kept() {
    let world = World::limited(LimitTree::OFF).await;
    world.assign("acme", 1).await;
    world.queue("acme", ATT, Batch, 3).await;
    world.work(&world.replica(0.0)).await;
    let (rows, kept): (i64, i64) = sqlx::query_as(
        "select (select count(*) from limits), (select count(*) from deliveries where network is not null)",
    )
    .fetch_one(&world.database.pool)
    .await
    .unwrap();
    assert_eq!((rows, kept, world.count("accepted").await), (0, 0, 3));
}
