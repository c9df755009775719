//! The tree of limits above the pace of a number (rule 18): a campaign's pace at each network, then a brand's segments in a
//! day. Licenses that name the same campaign or brand share its limits; without a name each has ones of its own.
//!
//! | what the carrier says | what stops | until |
//! |---|---|---|
//! | the sender's queue is full | the lane | 30 s, doubling to 30 min while it goes on |
//! | the campaign is too fast at a network | the campaign there | the same |
//! | the network takes no more of the brand today | the brand there | midnight, Pacific |
//! | nobody takes more of the brand today | the brand | midnight, Pacific |
//!
//! A message that has failed for it stays failed.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, MappedLocalTime, NaiveDate, NaiveTime, TimeDelta, TimeZone as _, Utc};
use chrono_tz::America::Los_Angeles;
use domain::{Network, SendingLimit};

use super::Pace;

const FIRST_CLOSING: TimeDelta = TimeDelta::seconds(30);
const LONGEST_CLOSING: TimeDelta = TimeDelta::minutes(30);

/// Of a campaign: its pace at each network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CampaignLimits {
    pub att: Pace,
    pub t_mobile: Pace,
    pub verizon: Pace,
    pub other: Pace,
}

impl CampaignLimits {
    pub const OFF: Self = Self { att: Pace::OFF, t_mobile: Pace::OFF, verizon: Pace::OFF, other: Pace::OFF };

    pub const fn at(&self, network: Network) -> Pace {
        match network {
            Network::Att => self.att,
            Network::TMobile => self.t_mobile,
            Network::Verizon => self.verizon,
            Network::Other => self.other,
        }
    }
}

/// Of a brand: segments in a day. 0: as many as there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrandLimits {
    pub t_mobile_per_day: u32,
    pub per_day: u32,
}

impl BrandLimits {
    /// At a network, or at all of them together.
    pub fn per_day(self, network: Option<Network>) -> Option<u32> {
        let limit = match network {
            None => self.per_day,
            Some(Network::TMobile) => self.t_mobile_per_day,
            Some(_) => 0,
        };
        (limit > 0).then_some(limit)
    }
}

/// All that is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitTree {
    pub campaign: CampaignLimits,
    pub brand: BrandLimits,
    /// Those that have limits of their own.
    pub campaigns: BTreeMap<String, CampaignLimits>,
    pub brands: BTreeMap<String, BrandLimits>,
}

impl LimitTree {
    /// Nothing is limited.
    pub const OFF: Self = Self {
        campaign: CampaignLimits::OFF,
        brand: BrandLimits { t_mobile_per_day: 0, per_day: 0 },
        campaigns: BTreeMap::new(),
        brands: BTreeMap::new(),
    };

    /// Whether anything is limited.
    pub fn is_on(&self) -> bool {
        *self != Self::OFF
    }

    /// Of this campaign. `None`: of one that belongs to one license.
    pub fn of_campaign(&self, name: Option<&str>) -> &CampaignLimits {
        name.and_then(|name| self.campaigns.get(name)).unwrap_or(&self.campaign)
    }

    /// Of this brand. `None`: of one that belongs to one license.
    pub fn of_brand(&self, name: Option<&str>) -> &BrandLimits {
        name.and_then(|name| self.brands.get(name)).unwrap_or(&self.brand)
    }
}

/// A time in which nothing goes, because the carrier said so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing {
    pub until: DateTime<Utc>,
    /// In a row.
    pub count: u32,
}

/// What a carrier's word leads to. `None`: nothing new, it is closed already.
pub fn decide_closing(limit: SendingLimit, present: Option<Closing>, now: DateTime<Utc>) -> Option<Closing> {
    if present.is_some_and(|closing| closing.until > now) {
        return None;
    }
    if matches!(limit, SendingLimit::NetworkDay | SendingLimit::BrandDay) {
        return Some(Closing { until: find_end_of_day(now), count: 0 });
    }
    // What is said soon after it opened is said of it again.
    let before = present.filter(|closing| now - closing.until < LONGEST_CLOSING).map_or(0, |closing| closing.count);
    let wait = (FIRST_CLOSING * 2_i32.pow(before.min(10))).min(LONGEST_CLOSING);
    Some(Closing { until: now + wait, count: before.saturating_add(1) })
}

/// The day of the carriers' daily limits.
pub fn find_day(now: DateTime<Utc>) -> NaiveDate {
    now.with_timezone(&Los_Angeles).date_naive()
}

/// When the next one begins.
pub fn find_end_of_day(now: DateTime<Utc>) -> DateTime<Utc> {
    let midnight = (find_day(now) + Days::new(1)).and_time(NaiveTime::MIN);
    match Los_Angeles.from_local_datetime(&midnight) {
        MappedLocalTime::Single(time) | MappedLocalTime::Ambiguous(time, _) => time.with_timezone(&Utc),
        // No clock is changed at midnight there.
        MappedLocalTime::None => now + TimeDelta::days(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_carrier_s_word_closes_for_longer_the_more_often_it_is_said_in_a_row() {
        let start = at("2026-03-02T15:00:00Z");
        let (mut now, mut present) = (start, None);
        for seconds in [30, 60, 120, 240, 480, 960, 1_800, 1_800] {
            let closing = decide_closing(SendingLimit::Campaign, present, now).unwrap();
            assert_eq!(closing.until - now, TimeDelta::seconds(seconds));
            assert_eq!(decide_closing(SendingLimit::Campaign, Some(closing), now), None, "what was sent before");
            (now, present) = (closing.until + TimeDelta::seconds(20), Some(closing));
        }
        now += LONGEST_CLOSING;
        let closing = decide_closing(SendingLimit::Sender, present, now).unwrap();
        assert_eq!((closing.until - now, closing.count), (FIRST_CLOSING, 1), "that was another time");
    }

    #[test]
    fn daily_limits_are_lifted_at_midnight_pacific() {
        for (now, end) in [
            ("2026-03-02T15:00:00Z", "2026-03-03T08:00:00Z"),
            ("2026-03-03T07:59:59Z", "2026-03-03T08:00:00Z"),
            ("2026-03-03T08:00:00Z", "2026-03-04T08:00:00Z"),
            ("2026-03-08T09:00:00Z", "2026-03-09T07:00:00Z"),
            ("2026-11-01T08:00:00Z", "2026-11-02T08:00:00Z"),
        ] {
            assert_eq!(find_end_of_day(at(now)), at(end), "{now}");
            for limit in [SendingLimit::NetworkDay, SendingLimit::BrandDay] {
                assert_eq!(decide_closing(limit, None, at(now)).map(|closing| closing.until), Some(at(end)));
            }
        }
    }

    #[test]
    fn a_campaign_or_brand_with_limits_of_its_own_does_not_have_those_of_the_others() {
        let pace = Pace::per_second(2.0).unwrap();
        let tree = LimitTree {
            campaigns: BTreeMap::from([("C1".to_owned(), CampaignLimits { att: pace, ..CampaignLimits::OFF })]),
            brands: BTreeMap::from([("B1".to_owned(), BrandLimits { t_mobile_per_day: 5, per_day: 0 })]),
            brand: BrandLimits { t_mobile_per_day: 0, per_day: 7 },
            ..LimitTree::OFF
        };
        assert!(tree.is_on() && !LimitTree::OFF.is_on());
        assert_eq!(tree.of_campaign(Some("C1")).at(Network::Att), pace);
        assert_eq!(tree.of_campaign(Some("C2")).at(Network::Att), Pace::OFF);
        assert_eq!(tree.of_campaign(None).at(Network::Other), Pace::OFF);
        assert_eq!(tree.of_brand(Some("B1")).per_day(Some(Network::TMobile)), Some(5));
        assert_eq!(tree.of_brand(Some("B1")).per_day(None), None);
        assert_eq!(tree.of_brand(None).per_day(None), Some(7));
        assert_eq!(tree.of_brand(None).per_day(Some(Network::Att)), None);
    }
}
