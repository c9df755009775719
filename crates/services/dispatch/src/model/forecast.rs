//! When each message of a line goes, as far as can be told: the pace of the lane and of its campaign, its pause, what is
//! held, and the quiet hours that come meanwhile. It plays what turns will do; nothing is decided here.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use chrono::{DateTime, Utc};
use domain::{Network, PhoneNumber};

use super::waiting::decide_lane_wait;
use super::{CampaignLimits, Hold, HoldReason, LaneNow, Pace, WaitReason};

/// One of a line, in the order in which they go.
#[derive(Clone, Copy, Debug)]
pub struct InLine {
    pub is_batch: bool,
    pub recipient: PhoneNumber,
    pub segments: u32,
    /// Of the recipient, as far as it is known.
    pub network: Network,
    /// It is held now.
    pub hold: Option<Hold>,
}

impl InLine {
    /// When it may go, if it may not at this time.
    fn find_quiet_end(&self, lane: LaneNow, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        lane.quiet.filter(|_| self.is_batch)?.find_end(&self.recipient, at)
    }
}

/// The pace of the lane's campaign at each network, and when its next segment may go there.
#[derive(Clone, Copy, Debug)]
pub struct CampaignNow {
    pub limits: CampaignLimits,
    /// In the order of [`Network::ALL`].
    pub tats: [Option<DateTime<Utc>>; NETWORKS],
}

/// How many there are.
pub const NETWORKS: usize = Network::ALL.len();

/// When each of the line goes, if nothing else comes and no other license of the campaign sends. They stand in their
/// order; what is held has its place too.
pub fn forecast(
    queue: &[InLine],
    lane: LaneNow,
    campaign: &CampaignNow,
    pace: Pace,
    now: DateTime<Utc>,
) -> Vec<DateTime<Utc>> {
    let pause = lane.pause.map_or(now, |(_, until)| until.max(now));
    let mut at = pace.estimate(lane.tat, pause, 0);
    let mut times = vec![at; queue.len()];
    // Of each network: when it opens, and who may go then.
    let mut networks: Vec<Ready> = std::iter::zip(Network::ALL, campaign.tats)
        .map(|(network, tat)| {
            let pace = campaign.limits.at(*network);
            Ready { network: *network, pace, opens_at: pace.estimate(tat, now, 0), indices: BinaryHeap::new() }
        })
        .collect();
    let mut later: BinaryHeap<Reverse<(DateTime<Utc>, usize)>> = queue
        .iter()
        .enumerate()
        .map(|(index, each)| Reverse((each.hold.map_or(now, |hold| hold.until), index)))
        .collect();
    loop {
        while let Some(Reverse((_, index))) = later.peek().copied().filter(|Reverse((until, _))| *until <= at) {
            later.pop();
            let network = queue.get(index).map(|each| each.network);
            if let Some(ready) = networks.iter_mut().find(|ready| Some(ready.network) == network) {
                ready.indices.push(Reverse(index));
            }
        }
        let open = networks.iter_mut().filter(|ready| ready.opens_at <= at);
        let next = open.filter_map(|ready| Some((ready.indices.peek()?.0, ready))).min_by_key(|(index, _)| *index);
        let Some((index, ready)) = next else {
            let opens = networks.iter().filter(|ready| !ready.indices.is_empty()).map(|ready| ready.opens_at);
            let Some(next) = opens.chain(later.peek().map(|Reverse((until, _))| *until)).min() else { return times };
            at = at.max(next);
            continue;
        };
        ready.indices.pop();
        let (Some(each), Some(time)) = (queue.get(index), times.get_mut(index)) else { continue };
        if let Some(end) = each.find_quiet_end(lane, at) {
            later.push(Reverse((end, index)));
        } else {
            *time = at;
            ready.opens_at = ready.pace.estimate(Some(at), at, u64::from(each.segments));
            at = pace.estimate(Some(at), at, u64::from(each.segments));
        }
    }
}

/// Those to one network that may go.
struct Ready {
    network: Network,
    pace: Pace,
    opens_at: DateTime<Utc>,
    indices: BinaryHeap<Reverse<usize>>,
}

/// Why one of a line waits, and until about when. `time` is its [`forecast`]; `None`: it stands too far back.
pub fn decide_wait_in_line(
    each: &InLine,
    time: Option<DateTime<Utc>>,
    lane: LaneNow,
    now: DateTime<Utc>,
) -> (WaitReason, Option<DateTime<Utc>>) {
    match decide_lane_wait(lane, now) {
        Err(reason) => (reason, None),
        Ok(lane_reason) => {
            let reason = match each.hold.map(|hold| hold.reason) {
                Some(HoldReason::QuietHours) => WaitReason::QuietHours,
                Some(HoldReason::DailyLimit) => WaitReason::DailyLimit,
                Some(HoldReason::Throttled) => WaitReason::CarrierThrottled,
                None if each.find_quiet_end(lane, now).is_some() => WaitReason::QuietHours,
                None => lane_reason,
            };
            (reason, time)
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::model::{PauseReason, QuietHours};

    fn at(seconds: i64) -> DateTime<Utc> {
        "2026-03-02T04:59:50Z".parse::<DateTime<Utc>>().unwrap() + TimeDelta::seconds(seconds)
    }

    /// No pace but that of the number.
    const NO_LIMITS: CampaignNow = CampaignNow { limits: CampaignLimits::OFF, tats: [None; NETWORKS] };
    const FREE: LaneNow = LaneNow { has_number: true, served: true, tat: None, pause: None, quiet: None };

    fn item(is_batch: bool, recipient: &str, segments: u32, until: Option<i64>) -> InLine {
        let hold = until.map(|until| Hold { until: at(until), reason: HoldReason::DailyLimit });
        InLine {
            is_batch,
            recipient: PhoneNumber::from_e164(recipient).unwrap(),
            segments,
            network: Network::Other,
            hold,
        }
    }

    const LOS_ANGELES: &str = "+14155550100";
    const NEW_YORK: &str = "+12125550100";

    #[test]
    fn what_is_held_comes_back_into_its_old_place() {
        let pace = Pace::per_second(1.0).unwrap();
        let line = [
            item(false, NEW_YORK, 1, Some(3)),
            item(true, NEW_YORK, 2, None),
            item(true, NEW_YORK, 2, None),
            item(true, NEW_YORK, 1, None),
        ];
        assert_eq!(forecast(&line, FREE, &NO_LIMITS, pace, at(0)), [at(4), at(0), at(2), at(5)]);
        let paused = LaneNow { pause: Some((PauseReason::Throttled, at(10))), ..FREE };
        assert_eq!(forecast(&line, paused, &NO_LIMITS, pace, at(0)), [at(10), at(11), at(13), at(15)]);
        let behind = LaneNow { tat: Some(at(2)), ..FREE };
        assert_eq!(forecast(&line, behind, &NO_LIMITS, pace, at(0)), [at(4), at(2), at(5), at(7)]);
    }

    #[test]
    fn a_campaign_s_pace_at_a_network_holds_up_those_to_it_and_nobody_else() {
        let pace = Pace::per_second(1.0).unwrap();
        let limits = CampaignLimits { att: Pace::per_second(0.2).unwrap(), ..CampaignLimits::OFF };
        let campaign = CampaignNow { limits, tats: [Some(at(3)), None, None, None] };
        let to = |network| InLine { network, ..item(true, NEW_YORK, 1, None) };
        let line = [Network::Att, Network::Att, Network::Verizon, Network::Other].map(to);
        assert_eq!(forecast(&line, FREE, &campaign, pace, at(0)), [at(3), at(8), at(0), at(1)]);
    }

    #[test]
    fn quiet_hours_that_begin_while_a_batch_goes_are_foreseen() {
        let pace = Pace::per_second(0.2).unwrap();
        // From 21:00 until 21:01: in Los Angeles it begins in ten seconds.
        let quiet = LaneNow { quiet: QuietHours::parse(21 * 60, 21 * 60 + 1), ..FREE };
        let line = [LOS_ANGELES, NEW_YORK, LOS_ANGELES, NEW_YORK].map(|recipient| item(true, recipient, 1, None));
        assert_eq!(forecast(&line, quiet, &NO_LIMITS, pace, at(0)), [at(0), at(5), at(70), at(10)]);
        let reply = item(false, LOS_ANGELES, 1, None);
        assert_eq!(forecast(&[reply], quiet, &NO_LIMITS, pace, at(20)), [at(20)], "replies do not wait");
    }

    #[test]
    fn each_message_says_what_it_waits_for() {
        let quiet = LaneNow { quiet: QuietHours::parse(21 * 60, 21 * 60 + 1), ..FREE };
        let away = LaneNow { served: false, ..FREE };
        let paused = LaneNow { pause: Some((PauseReason::Unreachable, at(10))), ..FREE };
        let batch = item(true, LOS_ANGELES, 1, None);
        let held = |reason| InLine { hold: Some(Hold { until: at(60), reason }), ..batch };
        for (each, lane, now, expected) in [
            (batch, quiet, at(10), (WaitReason::QuietHours, Some(at(99)))),
            (batch, quiet, at(0), (WaitReason::Pace, Some(at(99)))),
            (InLine { is_batch: false, ..batch }, quiet, at(10), (WaitReason::Pace, Some(at(99)))),
            (held(HoldReason::QuietHours), FREE, at(0), (WaitReason::QuietHours, Some(at(99)))),
            (held(HoldReason::DailyLimit), paused, at(0), (WaitReason::DailyLimit, Some(at(99)))),
            (held(HoldReason::Throttled), FREE, at(0), (WaitReason::CarrierThrottled, Some(at(99)))),
            (batch, paused, at(0), (WaitReason::CarrierUnreachable, Some(at(99)))),
            (held(HoldReason::DailyLimit), away, at(0), (WaitReason::CarrierUnreachable, None)),
        ] {
            assert_eq!(decide_wait_in_line(&each, Some(at(99)), lane, now), expected);
        }
    }
}
