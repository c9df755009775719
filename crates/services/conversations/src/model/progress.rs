//! What reports make of a message: outcomes of attempts and receipts of carriers, doubled and in any order.
//!
//! The status itself follows `domain::decide_status`, which never goes backwards.

use chrono::{DateTime, Utc};
use domain::{Id, Message, MessageStatus, PhoneNumber, decide_status};

use super::RECIPIENT_OPTED_OUT;

/// One thing that was said about a message.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub message_id: Id<Message>,
    pub status: MessageStatus,
    /// The number it went out from, if the report says so.
    pub from: Option<PhoneNumber>,
    pub carrier: Option<String>,
    pub carrier_message_id: Option<String>,
    /// As the carrier counts.
    pub segments: Option<i32>,
    /// Code and sentence.
    pub error: Option<(String, String)>,
    pub occurred_at: DateTime<Utc>,
}

/// What is stored of a message and may change by reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub status: MessageStatus,
    pub from: Option<PhoneNumber>,
    pub carrier: Option<String>,
    pub carrier_message_id: Option<String>,
    pub segments: i32,
    pub error: Option<(String, String)>,
    pub sent_at: Option<DateTime<Utc>>,
    pub delivered_at: Option<DateTime<Utc>>,
}

/// What carriers, and dispatch before it asks them, say of a landline and the like.
pub(crate) const CANNOT_RECEIVE_SMS: &str = "cannot_receive_sms";

impl Known {
    /// Did it fail because its number cannot receive texts (rule 12)?
    pub(crate) fn shows_textless(&self) -> bool {
        self.failed_with(CANNOT_RECEIVE_SMS)
    }

    /// Did it fail because its number stands on the carrier's own list of those who want no texts (rule 13)?
    pub(crate) fn shows_opted_out(&self) -> bool {
        self.failed_with(RECIPIENT_OPTED_OUT)
    }

    /// Nobody expects it to arrive any more: sending its text again is a person's decision.
    pub(crate) fn came_to_nothing(&self) -> bool {
        match self.status {
            MessageStatus::Failed | MessageStatus::Undelivered | MessageStatus::Canceled => true,
            // Nobody will find out by itself (rule 16).
            MessageStatus::Unknown => self.error.is_some(),
            _ => false,
        }
    }

    fn failed_with(&self, wanted: &str) -> bool {
        let failed = matches!(self.status, MessageStatus::Failed | MessageStatus::Undelivered);
        failed && self.error.as_ref().is_some_and(|(code, _)| code == wanted)
    }
}

/// What is known after a report. `None`: the report says nothing new.
pub(crate) fn plan_progress(known: &Known, report: &Report) -> Option<Known> {
    let mut after = known.clone();
    after.from = after.from.or(report.from);
    // The name and the id of one carrier, never of two.
    if after.carrier_message_id.is_none() && report.carrier_message_id.is_some() {
        after.carrier.clone_from(&report.carrier);
        after.carrier_message_id.clone_from(&report.carrier_message_id);
    }
    if let Some(segments) = report.segments {
        after.segments = segments;
    }
    if let Some(status) = decide_status(known.status, report.status) {
        after.status = status;
        after.error.clone_from(&report.error);
    }
    // Nobody will find out by itself any more.
    if after.status == report.status && after.error.is_none() {
        after.error.clone_from(&report.error);
    }
    // Times are taken from every report, also from one that comes too late to move the status.
    match report.status {
        MessageStatus::Sent => after.sent_at = Some(earlier(after.sent_at, report.occurred_at)),
        MessageStatus::Delivered if after.status == MessageStatus::Delivered => {
            after.delivered_at = Some(earlier(after.delivered_at, report.occurred_at));
        }
        _ => {}
    }
    (after != *known).then_some(after)
}

fn earlier(known: Option<DateTime<Utc>>, reported: DateTime<Utc>) -> DateTime<Utc> {
    known.map_or(reported, |known| known.min(reported))
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;

    fn queued() -> Known {
        Known {
            status: MessageStatus::Queued,
            from: None,
            carrier: None,
            carrier_message_id: None,
            segments: 1,
            error: None,
            sent_at: None,
            delivered_at: None,
        }
    }

    fn report(status: MessageStatus, seconds: i64) -> Report {
        Report {
            message_id: Id::new(),
            status,
            from: None,
            carrier: None,
            carrier_message_id: None,
            segments: None,
            error: None,
            occurred_at: DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds),
        }
    }

    #[test]
    fn a_receipt_that_arrives_twice_is_counted_once() {
        let sent = plan_progress(&queued(), &report(MessageStatus::Sent, 1)).unwrap();
        assert_eq!(plan_progress(&sent, &report(MessageStatus::Sent, 1)), None);
    }

    #[test]
    fn an_outcome_that_comes_after_the_receipt_still_says_which_number_it_was() {
        let delivered = plan_progress(&queued(), &report(MessageStatus::Delivered, 2)).unwrap();
        let number = PhoneNumber::parse("+14155550123").unwrap();
        let late = Report { from: Some(number), ..report(MessageStatus::Sending, 1) };
        let after = plan_progress(&delivered, &late).unwrap();
        assert_eq!((after.status, after.from), (MessageStatus::Delivered, Some(number)));
    }

    #[test]
    fn that_nobody_will_find_out_is_told_of_an_unknown_message_and_forgotten_with_the_first_receipt() {
        let error = Some(("not_confirmed".to_owned(), "Nobody knows.".to_owned()));
        let unknown = plan_progress(&queued(), &report(MessageStatus::Unknown, 1)).unwrap();
        assert!(!unknown.came_to_nothing(), "it is being found out");
        let over =
            plan_progress(&unknown, &Report { error: error.clone(), ..report(MessageStatus::Unknown, 2) }).unwrap();
        assert_eq!((&over.error, over.came_to_nothing()), (&error, true));
        assert_eq!(plan_progress(&over, &report(MessageStatus::Unknown, 3)), None, "a late report takes nothing back");
        let delivered = plan_progress(&over, &report(MessageStatus::Delivered, 4)).unwrap();
        assert_eq!((delivered.status, &delivered.error), (MessageStatus::Delivered, &None));
        assert_eq!(plan_progress(&delivered, &Report { error, ..report(MessageStatus::Unknown, 5) }), None);
    }

    #[test]
    fn a_message_speaks_of_its_number_only_when_it_failed_for_that_reason() {
        let because = |code: &str| Some((code.to_owned(), "So it is.".to_owned()));
        for (status, error, shows) in [
            (MessageStatus::Failed, because(CANNOT_RECEIVE_SMS), true),
            (MessageStatus::Undelivered, because(CANNOT_RECEIVE_SMS), true),
            (MessageStatus::Undelivered, because("not_reachable"), false),
            (MessageStatus::Unknown, because(CANNOT_RECEIVE_SMS), false),
            (MessageStatus::Failed, None, false),
        ] {
            assert_eq!(Known { status, error, ..queued() }.shows_textless(), shows, "{status}");
        }
    }

    proptest! {
        #[test]
        fn receipts_in_any_order_never_move_a_status_back_and_end_the_same(
            order in Just(vec![MessageStatus::Sending, MessageStatus::Sent, MessageStatus::Delivered, MessageStatus::Sent]).prop_shuffle()
        ) {
            let mut known = queued();
            for status in order {
                let seconds = i64::from(status.rank());
                let after = plan_progress(&known, &report(status, seconds)).unwrap_or_else(|| known.clone());
                prop_assert!(after.status.rank() >= known.status.rank());
                known = after;
            }
            prop_assert_eq!(known.status, MessageStatus::Delivered);
            prop_assert_eq!(known.sent_at, Some(DateTime::UNIX_EPOCH + TimeDelta::seconds(40)));
            prop_assert_eq!(known.delivered_at, Some(DateTime::UNIX_EPOCH + TimeDelta::seconds(50)));
        }
    }
}
