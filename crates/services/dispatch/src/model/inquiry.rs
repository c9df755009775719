//! What follows from asking a carrier afterwards (rule 16): whether it took a message whose outcome nobody knows, and what
//! became of one that it took when no receipt says so. A receipt settles either before that, and ends the asking.
//!
//! | asked about | the answer | what follows |
//! |---|---|---|
//! | outcome | its list shows the message | accepted |
//! | outcome | its list does not show it, and the last look is not over | asked again: lists lag behind |
//! | outcome | its list did not show it in the last look either | surely not taken: waits again |
//! | outcome | it shows another text that is nobody's, until long after the last look | unconfirmed: it may be this one, altered |
//! | outcome | it has no list | unconfirmed, when the time for a receipt is over |
//! | outcome | it cannot be asked | asked again, for a day; then unconfirmed |
//! | receipt | the message has come to its end | reported |
//! | receipt | not yet | asked again, less and less often, four times in all |
//! | receipt | it does not know the message any more | not asked again |
//! | receipt | it cannot be asked | asked again, for three days |
//!
//! Unconfirmed means that nobody finds out by itself. A person may send it again as a new message.

use std::time::Duration;

use carriers::{ReceiptStatus, SentCopy};
use chrono::{DateTime, TimeDelta, Utc};

/// Of an outcome that cannot be asked about.
const GIVE_UP_CONFIRMING: TimeDelta = TimeDelta::days(1);
/// Of a receipt that cannot be asked about.
const GIVE_UP_RECEIPTS: TimeDelta = TimeDelta::days(3);
/// Answers about one receipt.
const MOST_ANSWERS: u32 = 4;
/// Between two answers about one receipt: so many times as long as before.
const GROWTH: i32 = 6;
/// So many times the time of the last look, for a list that shows a text that is nobody's.
const PATIENCE: i32 = 5;
const SHORTEST: TimeDelta = TimeDelta::seconds(1);

/// When carriers are asked.
#[derive(Clone, Copy, Debug)]
pub struct InquiryTimes {
    /// The last look for a message whose outcome is not known, since its attempt. Earlier ones are at a twelfth and at a
    /// quarter of it. A carrier without a list has so long to bring a receipt.
    confirm_within: TimeDelta,
    /// When a message has no receipt of its end so long after it was accepted, its carrier is asked. `None`: never.
    receipts_after: Option<TimeDelta>,
}

/// What was found out about an outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Messages of its list that are no other attempt's.
    List(Vec<SentCopy>),
    /// The carrier has no list.
    NoList,
    /// It could not be asked.
    Failed,
}

/// What follows for a message whose outcome is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmation {
    Taken(SentCopy),
    NotTaken,
    AskAgain(DateTime<Utc>),
    Unconfirmed,
}

/// What was found out about a message that a carrier took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Knowledge {
    Known(SentCopy),
    Gone,
    Failed,
}

/// What follows for a message that a carrier took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// To be told.
    pub news: Option<SentCopy>,
    /// `None`: not asked again.
    pub ask_at: Option<DateTime<Utc>>,
}

impl InquiryTimes {
    /// `receipts_after` zero: never. The last look is at least a second after the attempt.
    pub fn new(confirm_within: Duration, receipts_after: Duration) -> Self {
        let delta = |wait| TimeDelta::from_std(wait).unwrap_or(GIVE_UP_CONFIRMING);
        Self {
            confirm_within: delta(confirm_within).max(SHORTEST),
            receipts_after: (!receipts_after.is_zero()).then(|| delta(receipts_after)),
        }
    }

    /// When the carrier is asked first about an outcome that is not known since then.
    pub fn first_look(&self, since: DateTime<Utc>) -> DateTime<Utc> {
        since + self.confirm_within / 12
    }

    /// When the carrier is asked first what became of a message that it took then.
    pub fn first_receipt(&self, accepted_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        Some(accepted_at + self.receipts_after?)
    }

    fn next_look(&self, since: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let looks = [self.confirm_within / 4, self.confirm_within];
        looks.into_iter().map(|after| since + after).find(|look| *look > now)
    }
}

/// The upper half of the table. `since` is when the attempt began; `answers` are those that came before this one.
///
/// It takes two looks at least to say that a message was not taken, and the last one after `confirm_within`.
pub fn decide_confirmation(
    evidence: Evidence,
    since: DateTime<Utc>,
    answers: u32,
    times: &InquiryTimes,
    now: DateTime<Utc>,
) -> Confirmation {
    let soon = now + times.confirm_within / 4;
    let patience_until =
        |limit| if now - since < limit { Confirmation::AskAgain(soon) } else { Confirmation::Unconfirmed };
    match evidence {
        Evidence::List(copies) => {
            let strange = copies.iter().any(|copy| !copy.same_text);
            if let Some(copy) = copies.into_iter().find(|copy| copy.same_text) {
                Confirmation::Taken(copy)
            } else if let Some(look) = times.next_look(since, now) {
                Confirmation::AskAgain(look)
            } else if answers == 0 {
                Confirmation::AskAgain(soon)
            } else if strange {
                patience_until(times.confirm_within * PATIENCE)
            } else {
                Confirmation::NotTaken
            }
        }
        Evidence::NoList if now - since < times.confirm_within => Confirmation::AskAgain(since + times.confirm_within),
        Evidence::NoList => Confirmation::Unconfirmed,
        Evidence::Failed => patience_until(GIVE_UP_CONFIRMING),
    }
}

/// The lower half of the table. `answers` are those that came before this one.
pub fn decide_report(
    knowledge: Knowledge,
    accepted_at: DateTime<Utc>,
    answers: u32,
    times: &InquiryTimes,
    now: DateTime<Utc>,
) -> Report {
    let Some(first) = times.receipts_after else { return Report { news: None, ask_at: None } };
    match knowledge {
        Knowledge::Known(copy) if copy.status.message_status().is_final() => Report { news: Some(copy), ask_at: None },
        Knowledge::Known(copy) => {
            let again = answers + 1 < MOST_ANSWERS;
            let ask_at = again.then(|| now + first * GROWTH.pow(answers + 1));
            Report { news: (copy.status == ReceiptStatus::Sent).then_some(copy), ask_at }
        }
        Knowledge::Gone => Report { news: None, ask_at: None },
        Knowledge::Failed => Report { news: None, ask_at: (now - accepted_at < GIVE_UP_RECEIPTS).then(|| now + first) },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
    }

    fn times() -> InquiryTimes {
        InquiryTimes::new(Duration::from_mins(2), Duration::from_mins(10))
    }

    fn copy(status: ReceiptStatus) -> SentCopy {
        SentCopy { carrier_message_id: "SM1".to_owned(), created_at: at(1), status, error: None, same_text: true }
    }

    fn confirm(evidence: Evidence, answers: u32, now: i64) -> Confirmation {
        decide_confirmation(evidence, at(0), answers, &times(), at(now))
    }

    fn nothing() -> Evidence {
        Evidence::List(Vec::new())
    }

    #[test]
    fn what_the_list_shows_was_taken_whenever_it_is_asked() {
        for (answers, now) in [(0, 10), (2, 120), (9, 1_000_000)] {
            let sending = copy(ReceiptStatus::Sending);
            let altered = SentCopy { same_text: false, ..sending.clone() };
            let list = Evidence::List(vec![altered, sending.clone()]);
            assert_eq!(confirm(list, answers, now), Confirmation::Taken(sending));
        }
    }

    #[test]
    fn what_the_list_does_not_show_is_looked_for_again_before_it_is_sent_again() {
        for (answers, now, expected) in [
            (0, 10, Confirmation::AskAgain(at(30))),
            (1, 30, Confirmation::AskAgain(at(120))),
            (2, 119, Confirmation::AskAgain(at(120))),
            (2, 120, Confirmation::NotTaken),
            (0, 9_000, Confirmation::AskAgain(at(9_030))),
            (1, 9_030, Confirmation::NotTaken),
        ] {
            assert_eq!(confirm(nothing(), answers, now), expected, "{answers} answers, after {now} s");
        }
    }

    #[test]
    fn a_text_that_is_nobody_s_may_be_this_one_altered_so_a_person_decides() {
        let strange = || Evidence::List(vec![SentCopy { same_text: false, ..copy(ReceiptStatus::Sent) }]);
        assert_eq!(confirm(strange(), 0, 10), Confirmation::AskAgain(at(30)));
        assert_eq!(confirm(strange(), 2, 120), Confirmation::AskAgain(at(150)), "its owner may claim it meanwhile");
        assert_eq!(confirm(strange(), 9, 600), Confirmation::Unconfirmed);
    }

    #[test]
    fn without_a_list_a_person_decides_when_the_time_for_a_receipt_is_over() {
        assert_eq!(confirm(Evidence::NoList, 0, 10), Confirmation::AskAgain(at(120)));
        assert_eq!(confirm(Evidence::NoList, 0, 119), Confirmation::AskAgain(at(120)));
        assert_eq!(confirm(Evidence::NoList, 1, 120), Confirmation::Unconfirmed);
    }

    #[test]
    fn a_carrier_that_cannot_be_asked_is_asked_again_for_a_day() {
        assert_eq!(confirm(Evidence::Failed, 0, 10), Confirmation::AskAgain(at(40)));
        assert_eq!(confirm(Evidence::Failed, 0, 86_399), Confirmation::AskAgain(at(86_429)));
        assert_eq!(confirm(Evidence::Failed, 0, 86_400), Confirmation::Unconfirmed);
    }

    #[test]
    fn an_end_is_told_and_what_has_none_is_asked_about_less_and_less_often() {
        let report = |knowledge, answers| decide_report(knowledge, at(0), answers, &times(), at(1_000));
        for status in
            [ReceiptStatus::Delivered, ReceiptStatus::Undelivered, ReceiptStatus::Failed, ReceiptStatus::Canceled]
        {
            let expected = Report { news: Some(copy(status)), ask_at: None };
            assert_eq!(report(Knowledge::Known(copy(status)), 0), expected, "{status:?}");
        }
        for (answers, wait) in [(0, Some(3_600)), (1, Some(21_600)), (2, Some(129_600)), (3, None), (9, None)] {
            let expected = Report { news: None, ask_at: wait.map(|wait| at(1_000 + wait)) };
            assert_eq!(report(Knowledge::Known(copy(ReceiptStatus::Sending)), answers), expected, "{answers}");
        }
        let sent = report(Knowledge::Known(copy(ReceiptStatus::Sent)), 0);
        assert_eq!(sent, Report { news: Some(copy(ReceiptStatus::Sent)), ask_at: Some(at(4_600)) });
        assert_eq!(report(Knowledge::Gone, 0), Report { news: None, ask_at: None });
    }

    #[test]
    fn a_receipt_that_cannot_be_asked_for_is_given_up_after_three_days() {
        let report = |now| decide_report(Knowledge::Failed, at(0), 0, &times(), at(now)).ask_at;
        assert_eq!(report(600), Some(at(1_200)));
        assert_eq!(report(3 * 86_400), None);
    }

    #[test]
    fn receipts_are_not_asked_for_where_the_settings_say_so() {
        let times = InquiryTimes::new(Duration::from_mins(2), Duration::ZERO);
        assert_eq!(times.first_receipt(at(0)), None);
        let known = Knowledge::Known(copy(ReceiptStatus::Delivered));
        assert_eq!(decide_report(known, at(0), 0, &times, at(1)), Report { news: None, ask_at: None });
    }

    proptest! {
        #[test]
        fn it_takes_two_looks_and_the_whole_time_to_say_that_nothing_was_taken(answers in 0_u32..5, now in 0_i64..100_000) {
            if confirm(nothing(), answers, now) == Confirmation::NotTaken {
                prop_assert!(answers >= 1 && now >= 120);
            }
        }

        #[test]
        fn whoever_asks_again_asks_later(answers in 0_u32..5, now in 0_i64..100_000, which in 0_usize..3) {
            let evidence = [nothing(), Evidence::NoList, Evidence::Failed][which].clone();
            if let Confirmation::AskAgain(next) = confirm(evidence, answers, now) {
                prop_assert!(next > at(now));
            }
        }
    }
}
