//! Quiet hours: a window of the recipient's day in which batches wait. Replies do not.
//!
//! The day is that of the time zones of the number's area code. Where an area code has several, it is quiet as long as it
//! is in any of them; where it has none (toll-free), in any of the mainland's.

use chrono::{DateTime, Days, MappedLocalTime, NaiveDate, NaiveDateTime, TimeDelta, TimeZone as _, Timelike as _, Utc};
use chrono_tz::Tz;
use domain::PhoneNumber;

const MINUTES_A_DAY: u16 = 24 * 60;
/// No clock is set forward by more.
const LONGEST_GAP_MINUTES: i64 = 180;
/// Windows that cover the whole day in one zone after the other end nowhere: it is looked at again.
const MOST_WINDOWS: usize = 8;
const MAINLAND: [Tz; 4] = [Tz::America__New_York, Tz::America__Chicago, Tz::America__Denver, Tz::America__Los_Angeles];

/// A window of the day, in minutes after midnight. It may go over midnight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    from: u16,
    /// Exclusive.
    until: u16,
}

impl QuietHours {
    /// `None`: not a window of a day.
    pub fn parse(from: u32, until: u32) -> Option<Self> {
        let minute = |minute| u16::try_from(minute).ok().filter(|minute| *minute < MINUTES_A_DAY);
        let (from, until) = (minute(from)?, minute(until)?);
        (from != until).then_some(Self { from, until })
    }

    /// Minutes after midnight: from, until.
    pub const fn minutes(self) -> (u16, u16) {
        (self.from, self.until)
    }

    /// When a batch may go to this recipient, if it may not now.
    pub fn find_end(self, recipient: &PhoneNumber, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let zones = recipient.area_code().time_zones();
        self.find_end_in(if zones.is_empty() { &MAINLAND } else { zones }, now)
    }

    /// When it is quiet in none of the zones, if it is in any now.
    fn find_end_in(self, zones: &[Tz], now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut end = now;
        for _ in 0..MOST_WINDOWS {
            let Some(next) = zones.iter().filter_map(|zone| self.find_end_of_window(*zone, end)).max() else { break };
            end = next;
        }
        (end > now).then_some(end)
    }

    /// The end of the window that this moment is in.
    fn find_end_of_window(self, zone: Tz, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = at.with_timezone(&zone).naive_local();
        let minute = u16::try_from(local.hour() * 60 + local.minute()).unwrap_or(0);
        let over_midnight = self.from > self.until;
        let (is_quiet, tomorrow) = if over_midnight {
            (minute >= self.from || minute < self.until, minute >= self.from)
        } else {
            ((self.from..self.until).contains(&minute), false)
        };
        let date = if tomorrow { local.date() + Days::new(1) } else { local.date() };
        // A clock that is set back shows the end twice: of the two, the one that is still to come.
        is_quiet.then(|| to_utc(zone, date, self.until)).map(|end| end.max(at + TimeDelta::seconds(1)))
    }
}

/// The later of two moments with this time, or the first one after a gap.
fn to_utc(zone: Tz, date: NaiveDate, minute: u16) -> DateTime<Utc> {
    let wanted: NaiveDateTime = date.and_time(chrono::NaiveTime::MIN) + TimeDelta::minutes(minute.into());
    (0..=LONGEST_GAP_MINUTES)
        .find_map(|later| match zone.from_local_datetime(&(wanted + TimeDelta::minutes(later))) {
            MappedLocalTime::Single(time) => Some(time),
            MappedLocalTime::Ambiguous(_, second) => Some(second),
            MappedLocalTime::None => None,
        })
        .map_or_else(|| wanted.and_utc(), |time| time.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NEW_YORK: Tz = Tz::America__New_York;
    const LOS_ANGELES: Tz = Tz::America__Los_Angeles;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn hours(from: u32, until: u32) -> QuietHours {
        QuietHours::parse(from * 60, until * 60).unwrap()
    }

    #[test]
    fn a_window_has_two_different_minutes_of_a_day() {
        assert_eq!(QuietHours::parse(1260, 480).unwrap().minutes(), (1260, 480));
        for (from, until) in [(0, 0), (1440, 0), (0, 1440), (u32::MAX, 1)] {
            assert_eq!(QuietHours::parse(from, until), None);
        }
    }

    #[test]
    fn batches_wait_for_the_end_of_the_window_in_the_time_zone_of_the_recipient() {
        let night = hours(21, 8);
        for (now, end) in [
            ("2026-03-02T01:59:59Z", None),
            ("2026-03-02T02:00:00Z", Some("2026-03-02T13:00:00Z")),
            ("2026-03-02T12:59:59Z", Some("2026-03-02T13:00:00Z")),
            ("2026-03-02T13:00:00Z", None),
        ] {
            assert_eq!(night.find_end_in(&[NEW_YORK], at(now)), end.map(at), "{now}");
        }
        let noon = hours(12, 13);
        assert_eq!(noon.find_end_in(&[NEW_YORK], at("2026-03-02T17:30:00Z")), Some(at("2026-03-02T18:00:00Z")));
        assert_eq!(noon.find_end_in(&[LOS_ANGELES], at("2026-03-02T17:30:00Z")), None);
    }

    #[test]
    fn with_several_zones_it_is_quiet_as_long_as_it_is_in_any() {
        let night = hours(21, 8);
        let both = [NEW_YORK, LOS_ANGELES];
        // In New York since an hour, in Los Angeles not yet; at the end in New York it is quiet in Los Angeles.
        assert_eq!(night.find_end_in(&both, at("2026-03-02T03:00:00Z")), Some(at("2026-03-02T16:00:00Z")));
        assert_eq!(night.find_end_in(&both, at("2026-03-02T16:00:00Z")), None);
        let toll_free = PhoneNumber::from_e164("+18005550100").unwrap();
        assert_eq!(night.find_end(&toll_free, at("2026-03-02T14:00:00Z")), Some(at("2026-03-02T16:00:00Z")));
        let san_francisco = PhoneNumber::from_e164("+14155550100").unwrap();
        assert_eq!(night.find_end(&san_francisco, at("2026-03-02T03:00:00Z")), None);
    }

    #[test]
    fn clocks_that_are_set_forward_or_back_move_the_window_with_them() {
        // The night of March 8, 2026: 02:00 becomes 03:00. The hours are those of the clock on the wall.
        let night = hours(21, 8);
        assert_eq!(night.find_end_in(&[NEW_YORK], at("2026-03-08T03:00:00Z")), Some(at("2026-03-08T12:00:00Z")));
        // Half past two does not exist: the window ends with the jump.
        let early = QuietHours::parse(60, 150).unwrap();
        assert_eq!(early.find_end_in(&[NEW_YORK], at("2026-03-08T06:30:00Z")), Some(at("2026-03-08T07:00:00Z")));
        // The night of November 1, 2026: 02:00 becomes 01:00, and half past one comes twice.
        let late = QuietHours::parse(30, 90).unwrap();
        assert_eq!(late.find_end_in(&[NEW_YORK], at("2026-11-01T05:00:00Z")), Some(at("2026-11-01T06:30:00Z")));
    }

    proptest! {
        #[test]
        fn the_end_is_later_within_two_days_and_not_quiet_any_more(
            from in 0_u32..1440, length in 1_u32..720, seconds in 0_i64..400 * 86_400,
        ) {
            let quiet = QuietHours::parse(from, (from + length) % 1440).unwrap();
            let now = at("2026-01-01T00:00:00Z") + TimeDelta::seconds(seconds);
            for zones in [&[NEW_YORK][..], &MAINLAND] {
                if let Some(end) = quiet.find_end_in(zones, now) {
                    prop_assert!(end > now && end - now <= TimeDelta::days(2));
                    prop_assert_eq!(quiet.find_end_in(zones, end), None);
                }
            }
        }
    }
}
