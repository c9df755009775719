//! The turn of one lane: which of those that wait go now, which are held, which are passed over, and when it has its next.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{CarrierName, LicenseId, Network, PhoneNumber};
use uuid::Uuid;

use super::Priority;
use super::holds::NewHold;
use super::limits::{Registration, Verdict};
use crate::model::{Hold, HoldReason, Line, Meter, Pace, QuietHours};

/// A lane that is stopped by what it shares looks again after this time at the latest: something may have come that goes
/// to another network.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(2);
/// A lane in which something waits for another message to be over looks again after this time.
const LOOK_BEHIND: TimeDelta = TimeDelta::milliseconds(250);
/// Whose turn was longer ago does not stand back for others. A thousandth of what is missing to it is waited.
const LONGEST_COURTESY: TimeDelta = TimeDelta::seconds(10);

/// A lane that is due, locked.
#[derive(Debug)]
pub struct Lane {
    pub license_id: LicenseId,
    pub number: PhoneNumber,
    pub carrier: CarrierName,
    pub tat: Option<DateTime<Utc>>,
    pub setbacks: u32,
    /// Of those that wait, how many go only when another message is over; no more than a turn can take, and one.
    pub followers: usize,
    pub quiet: Option<QuietHours>,
    /// It may meet limits that it shares.
    pub is_limited: bool,
    pub registration: Registration,
    /// The most that it may take now.
    pub most: usize,
}

impl Lane {
    /// Whether it is night where a batch would go.
    pub fn find_quiet_hold(&self, priority: i16, to_number: &str, now: DateTime<Utc>) -> Option<Hold> {
        let quiet = self.quiet.filter(|_| priority == Priority::Batch as i16)?;
        let until = quiet.find_end(&PhoneNumber::from_e164(to_number).ok()?, now)?;
        Some(Hold { until, reason: HoldReason::QuietHours })
    }
}

/// A message that may have its turn, locked.
pub struct Candidate {
    pub message_id: Uuid,
    pub to_number: String,
    pub body: String,
    pub media_urls: Vec<String>,
    pub segments: u32,
    pub tries: i32,
    pub line: Option<Line>,
    pub network: Network,
    /// The network that is kept with it.
    pub stored_network: Option<Network>,
    pub order: (i16, i64),
    /// It names a message that goes before it.
    pub is_follower: bool,
}

impl Candidate {
    /// What it takes of the pace. What will not be sent takes nothing.
    pub fn cost(&self) -> u32 {
        if self.line == Some(Line::CannotReceive) { 0 } else { self.segments }
    }
}

/// See the module.
pub struct Turn<'a> {
    pub lane: &'a Lane,
    /// What goes.
    pub go: Vec<Candidate>,
    /// What could go, were there room.
    pub waiting: Vec<Candidate>,
    /// Networks of which nothing goes, and until when.
    pub stopped: BTreeMap<Network, DateTime<Utc>>,
    meter: Meter,
    now: DateTime<Utc>,
    /// Nothing stands behind what was fetched.
    is_all: bool,
    has_held: bool,
    /// Those behind that go to other networks were fetched.
    has_others: bool,
}

impl<'a> Turn<'a> {
    /// `waiting`: one more than may go, if there are so many.
    pub fn new(lane: &'a Lane, mut waiting: Vec<Candidate>, pace: Pace, now: DateTime<Utc>) -> Self {
        waiting.sort_unstable_by_key(|candidate| candidate.order);
        Self {
            lane,
            go: Vec::new(),
            is_all: waiting.len() <= lane.most,
            waiting,
            stopped: BTreeMap::new(),
            meter: pace.meter(lane.tat, now),
            now,
            has_held: false,
            has_others: false,
        }
    }

    /// Takes out of line whom it is night for.
    pub fn hold_quiet(&mut self, holds: &mut Vec<NewHold>) {
        let (lane, now) = (self.lane, self.now);
        if lane.quiet.is_none() {
            return;
        }
        self.waiting.retain(|each| {
            let Some(hold) = lane.find_quiet_hold(each.order.0, &each.to_number, now) else { return true };
            holds.push(NewHold { license_id: lane.license_id.to_string(), message_id: each.message_id, hold });
            self.has_held = true;
            false
        });
    }

    /// Takes what goes, from the first, as long as the pace and the room allow.
    pub fn take(&mut self, mut decide: impl FnMut(&Candidate) -> Verdict, holds: &mut Vec<NewHold>) {
        let mut left = Vec::new();
        for each in std::mem::take(&mut self.waiting) {
            if self.go.len() >= self.lane.most || !self.meter.is_open() {
                left.push(each);
                continue;
            }
            // What is not sent meets no limit.
            match if each.cost() == 0 { Verdict::Go } else { decide(&each) } {
                Verdict::Go => {
                    self.meter.take(each.cost());
                    self.go.push(each);
                }
                Verdict::Later(until) => {
                    self.stopped.insert(each.network, until);
                }
                Verdict::Hold(hold) => {
                    let license_id = self.lane.license_id.to_string();
                    holds.push(NewHold { license_id, message_id: each.message_id, hold });
                    self.has_held = true;
                }
            }
        }
        self.waiting = left;
    }

    /// Whether more of its messages are to be held than were fetched.
    pub const fn wants_look_ahead(&self) -> bool {
        self.has_held && !self.is_all
    }

    /// Whether those behind that go to other networks may go now.
    pub fn wants_other_networks(&self) -> bool {
        !self.stopped.is_empty()
            && !self.is_all
            && !self.has_others
            && self.waiting.is_empty()
            && self.go.len() < self.lane.most
            && self.meter.is_open()
    }

    /// How many were looked at so far that the database still shows as waiting.
    pub fn seen(&self) -> usize {
        self.go.len() + self.waiting.len()
    }

    /// Adds those behind. Some were seen already.
    pub fn add_other_networks(&mut self, others: Vec<Candidate>) {
        let seen: HashSet<Uuid> = self.go.iter().chain(&self.waiting).map(|each| each.message_id).collect();
        self.waiting.extend(others.into_iter().filter(|each| !seen.contains(&each.message_id)));
        self.waiting.sort_unstable_by_key(|candidate| candidate.order);
        self.has_others = true;
    }

    /// The lane's time afterwards.
    pub const fn tat(&self) -> Option<DateTime<Utc>> {
        self.meter.tat()
    }

    /// Of those that wait for the same limit, the one whose turn was longest ago goes first: the others come a little later.
    fn find_courtesy(&self, place: usize) -> TimeDelta {
        let since = self.tat().filter(|_| self.meter.is_paced()).map_or(LONGEST_COURTESY, |tat| self.now - tat);
        let recent = (LONGEST_COURTESY - since.max(TimeDelta::zero())).max(TimeDelta::zero()) / 1_000;
        let just_now = if self.go.is_empty() { TimeDelta::zero() } else { LONGEST_COURTESY / 1_000 };
        recent.max(just_now) + TimeDelta::microseconds(i64::try_from(place).unwrap_or(0))
    }

    /// When the lane has something to do again. `None`: not before something comes. `place` is that of this turn among
    /// those of the same moment.
    pub fn find_next(&self, place: usize, attempt_deadline: Duration) -> Option<DateTime<Utc>> {
        let by_pace = self.tat().filter(|_| self.meter.is_paced());
        let unseen = !self.is_all && (self.has_held || !self.stopped.is_empty() && !self.has_others);
        let again = if unseen {
            Some(by_pace.map_or(self.now, |tat| tat.max(self.now)))
        } else if self.waiting.is_empty() {
            None
        } else {
            by_pace.or(Some(self.now))
        };
        let opens = self.stopped.values().min().map(|until| {
            let until = (*until).min(self.now + LOOK_AGAIN) + self.find_courtesy(place);
            by_pace.map_or(until, |tat| tat.max(until))
        });
        let following = self.go.iter().filter(|each| each.is_follower).count();
        let behind = (self.lane.followers > following).then(|| {
            let until = self.now + if self.lane.setbacks > 0 { LOOK_AGAIN } else { LOOK_BEHIND };
            by_pace.map_or(until, |tat| tat.max(until))
        });
        let next = [again, opens, behind].into_iter().flatten().min()?;
        let probes = self.lane.setbacks > 0 && !self.go.is_empty();
        Some(if probes { self.now + attempt_deadline } else { next })
    }
}
