//! Counting at the ends, as a pure function: what was promised against what arrived. Who is asked, and when, is told
//! elsewhere.

use std::collections::{HashMap, HashSet};

/// What somebody said in a conversation. Its body is like no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) conversation: usize,
    pub(super) body: String,
}

/// What a client of one license's feed saw since a position.
#[derive(Debug, Clone, Default)]
pub(super) struct FeedSeen {
    /// Seen before.
    pub(super) after: u64,
    /// Of the database.
    pub(super) head: u64,
    /// As they came, over all its connections.
    pub(super) positions: Vec<u64>,
}

/// What the ends have seen of one row. Lists are in the order of each conversation.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence {
    /// Sends that the API has accepted.
    pub(super) accepted: Vec<Text>,
    /// What phones got, also of sends that nobody heard an answer of.
    pub(super) on_phones: Vec<Text>,
    /// Bodies of messages that are `unknown` to the manager.
    pub(super) unknown: HashSet<String>,
    /// Texts from phones whose webhook was answered with 200.
    pub(super) answered: Vec<Text>,
    /// Messages from phones, as a conversation shows them.
    pub(super) stored: Vec<Text>,
    /// Bodies of all messages of the database.
    pub(super) committed: Vec<String>,
    /// How often the feeds told of a message that is new, by its body.
    pub(super) created: HashMap<String, usize>,
}

/// What is wrong, each with a word on where to look. Empty lists: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) lost: Vec<String>,
    /// Not on the phone and `unknown`: nobody knows yet.
    pub(super) unsettled: Vec<String>,
    pub(super) doubled: Vec<String>,
    pub(super) reordered: Vec<String>,
    pub(super) feed: Vec<String>,
}

impl Tally {
    /// Every cell in the order of the matrix.
    pub(super) fn cells(&self) -> [&[String]; 5] {
        [&self.lost, &self.unsettled, &self.doubled, &self.reordered, &self.feed]
    }

    /// Nothing that could still come is missing.
    pub(super) fn is_settled(&self) -> bool {
        self.lost.is_empty() && self.unsettled.is_empty() && self.feed.is_empty()
    }
}

/// Compares both ends.
pub(super) fn count(evidence: &Evidence) -> Tally {
    let mut tally = Tally::default();
    let (phones, stored) = (count_bodies(&evidence.on_phones), count_bodies(&evidence.stored));
    for text in evidence.accepted.iter().filter(|text| !phones.contains_key(text.body.as_str())) {
        if evidence.unknown.contains(&text.body) {
            tally.unsettled.push(format!("{:?} was accepted, is unknown, and is not on the phone", text.body));
        } else {
            tally.lost.push(format!("{:?} was accepted and is not on the phone", text.body));
        }
    }
    for text in evidence.answered.iter().filter(|text| !stored.contains_key(text.body.as_str())) {
        tally.lost.push(format!("{:?} was answered 200 and is in no conversation", text.body));
    }
    for (counts, place) in [(&phones, "on the phone"), (&stored, "in its conversation")] {
        let mut doubled: Vec<_> = counts.iter().filter(|(_, times)| **times > 1).collect();
        doubled.sort_unstable();
        tally.doubled.extend(doubled.into_iter().map(|(body, times)| format!("{body:?} is {times} times {place}")));
    }
    find_overtaken(&evidence.accepted, &evidence.on_phones, "on the phone", &mut tally.reordered);
    find_overtaken(&evidence.answered, &evidence.stored, "in its conversation", &mut tally.reordered);
    for body in &evidence.committed {
        let times = evidence.created.get(body).copied().unwrap_or(0);
        if times != 1 {
            tally.feed.push(format!("{body:?} came {times} times on the feed"));
        }
    }
    tally
}

fn count_bodies(texts: &[Text]) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    for text in texts {
        *counts.entry(text.body.as_str()).or_default() += 1;
    }
    counts
}

/// Texts that came after one that was said later in the same conversation.
fn find_overtaken(said: &[Text], arrived: &[Text], place: &str, overtaken: &mut Vec<String>) {
    let order: HashMap<&str, usize> = said.iter().enumerate().map(|(at, text)| (text.body.as_str(), at)).collect();
    let mut newest: HashMap<usize, usize> = HashMap::new();
    let mut seen = HashSet::new();
    for text in arrived.iter().filter(|text| seen.insert(text.body.as_str())) {
        let Some(&at) = order.get(text.body.as_str()) else { continue };
        let newest = newest.entry(text.conversation).or_default();
        if at < *newest {
            overtaken.push(format!("{:?} was overtaken {place}", text.body));
        }
        *newest = at.max(*newest);
    }
}

/// What is wrong with the positions that a client saw: gaps, doubles, steps back, a missing end.
pub(super) fn check_positions(feed: &FeedSeen) -> Vec<String> {
    let (mut position, mut wrong) = (feed.after, Vec::new());
    for &next in feed.positions.iter().filter(|position| **position <= feed.head) {
        if next != position + 1 {
            wrong.push(format!("a feed went from {position} to {next}"));
        }
        position = next;
    }
    if position != feed.head {
        wrong.push(format!("a feed ended at {position}, the database at {}", feed.head));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts<const N: usize>(bodies: [&str; N]) -> Vec<Text> {
        bodies.map(|body| Text { conversation: 0, body: body.to_owned() }).into()
    }

    fn good() -> Evidence {
        let all = ["a", "b", "c", "x", "y", "z"].map(str::to_owned);
        Evidence {
            accepted: texts(["a", "b", "c"]),
            on_phones: texts(["a", "b", "c"]),
            unknown: HashSet::new(),
            answered: texts(["x", "y", "z"]),
            stored: texts(["x", "y", "z"]),
            created: all.iter().map(|body| (body.clone(), 1)).collect(),
            committed: all.into(),
        }
    }

    fn numbers(evidence: &Evidence) -> [usize; 5] {
        count(evidence).cells().map(<[String]>::len)
    }

    #[test]
    fn what_arrived_once_and_in_order_is_no_fault() {
        assert_eq!(count(&good()), Tally::default());
        let other = Text { conversation: 1, body: "of another conversation".to_owned() };
        let mut mixed = good();
        mixed.accepted.insert(0, other.clone());
        mixed.on_phones.push(other);
        assert_eq!(numbers(&mixed), [0; 5], "conversations do not wait for each other");
    }

    #[test]
    fn a_text_that_is_lost_is_found_in_either_direction() {
        let lost_out = Evidence { on_phones: texts(["a", "c"]), ..good() };
        assert_eq!(numbers(&lost_out), [1, 0, 0, 0, 0]);
        let lost_in = Evidence { stored: texts(["x", "y"]), ..good() };
        assert_eq!(numbers(&lost_in), [1, 0, 0, 0, 0]);
        assert_eq!(count(&lost_in).lost, [r#""z" was answered 200 and is in no conversation"#]);
        assert!(!count(&lost_in).is_settled());
    }

    #[test]
    fn a_text_whose_fate_is_unknown_is_unsettled_until_the_phone_shows_it() {
        let unknown = HashSet::from(["b".to_owned()]);
        let missing = Evidence { on_phones: texts(["a", "c"]), unknown: unknown.clone(), ..good() };
        assert_eq!(numbers(&missing), [0, 1, 0, 0, 0]);
        assert_eq!(numbers(&Evidence { unknown, ..good() }), [0; 5]);
    }

    #[test]
    fn a_text_that_comes_twice_is_found_in_either_direction_also_when_nobody_heard_that_it_was_accepted() {
        let doubled = Evidence { on_phones: texts(["a", "b", "c", "b", "d", "d"]), ..good() };
        assert_eq!(numbers(&doubled), [0, 0, 2, 0, 0]);
        assert_eq!(numbers(&Evidence { stored: texts(["x", "x", "y", "z"]), ..good() }), [0, 0, 1, 0, 0]);
    }

    #[test]
    fn a_text_that_is_overtaken_is_found_in_either_direction() {
        let out = Evidence { on_phones: texts(["b", "a", "c"]), ..good() };
        assert_eq!(numbers(&out), [0, 0, 0, 1, 0]);
        let inward = Evidence { stored: texts(["z", "x", "y"]), ..good() };
        assert_eq!(numbers(&inward), [0, 0, 0, 2, 0]);
    }

    #[test]
    fn gaps_doubles_and_a_missing_end_of_a_feed_are_found() {
        let wrong =
            |positions: &[u64]| check_positions(&FeedSeen { after: 6, head: 9, positions: positions.to_vec() }).len();
        assert_eq!(wrong(&[7, 8, 9]), 0);
        assert_eq!(wrong(&[7, 8, 9, 10]), 0, "what came after the row belongs to the next one");
        assert_eq!(wrong(&[7, 9]), 1);
        assert_eq!(wrong(&[7, 8, 8, 9]), 1);
        assert_eq!(wrong(&[7, 8, 7, 8, 9]), 1);
        assert_eq!(wrong(&[7, 8]), 1);
        assert_eq!(wrong(&[]), 1);
    }

    #[test]
    fn a_message_that_a_feed_does_not_tell_or_tells_twice_is_found() {
        let mut created = good().created;
        created.insert("a".to_owned(), 2);
        created.remove("x");
        assert_eq!(numbers(&Evidence { created, ..good() }), [0, 0, 0, 0, 2]);
    }
}
