//! What is known of a call. Carriers tell of one in several events, doubled and in any order; each says all of it.

use chrono::{DateTime, Utc};
use domain::CallResult;

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CallEnd {
    pub result: CallResult,
    /// How long the two talked, if the carrier said so.
    pub duration_s: Option<i32>,
    pub ended_at: DateTime<Utc>,
}

/// What is stored of a call and may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KnownCall {
    pub started_at: DateTime<Utc>,
    /// `None`: it rings, or nobody has said yet.
    pub end: Option<CallEnd>,
}

/// What is known after an event of `occurred_at`. `None`: it says nothing new.
///
/// A call began with its earliest event. The first result that is reported stays.
pub(crate) fn decide_call(
    known: Option<KnownCall>,
    occurred_at: DateTime<Utc>,
    end: Option<CallEnd>,
) -> Option<KnownCall> {
    let Some(known) = known else {
        return Some(KnownCall { started_at: occurred_at, end });
    };
    let after = KnownCall { started_at: known.started_at.min(occurred_at), end: known.end.or(end) };
    (after != known).then_some(after)
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn end(result: CallResult, seconds: i64) -> CallEnd {
        CallEnd { result, duration_s: Some(60), ended_at: at(seconds) }
    }

    #[test]
    fn ringing_after_a_result_changes_nothing_but_when_the_call_began() {
        let answered = decide_call(None, at(90), Some(end(CallResult::Answered, 90))).unwrap();
        assert_eq!(decide_call(Some(answered), at(95), None), None);
        let begun = decide_call(Some(answered), at(30), None).unwrap();
        assert_eq!(begun, KnownCall { started_at: at(30), end: answered.end });
        assert_eq!(decide_call(Some(begun), at(30), None), None, "the same once more");
    }

    #[test]
    fn the_first_result_stays() {
        let ringing = decide_call(None, at(1), None).unwrap();
        let busy = decide_call(Some(ringing), at(9), Some(end(CallResult::Busy, 9))).unwrap();
        assert_eq!(busy.end.unwrap().result, CallResult::Busy);
        assert_eq!(decide_call(Some(busy), at(10), Some(end(CallResult::Answered, 10))), None);
    }

    proptest! {
        #[test]
        fn the_events_of_a_call_in_any_order_end_the_same(
            order in Just(vec![(10, false), (10, false), (70, true), (70, true), (12, false)]).prop_shuffle()
        ) {
            let mut known = None;
            for (seconds, ended) in order {
                let end = ended.then(|| end(CallResult::Answered, seconds));
                known = decide_call(known, at(seconds), end).or(known);
            }
            prop_assert_eq!(known, Some(KnownCall { started_at: at(10), end: Some(end(CallResult::Answered, 70)) }));
        }
    }
}
