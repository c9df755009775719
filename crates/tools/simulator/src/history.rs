//! Every message the carrier has seen, both directions, and what each phone got.
//! Bounded: the newest 200,000 messages stay, older ones are forgotten. Recording costs the same however many there are;
//! lists go through an index per number.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;

use chrono::{DateTime, Utc};

use crate::carrier::CarrierName;
use crate::media::USUAL_TYPE;

/// How many messages are remembered, over all numbers and phones.
pub(crate) const LIMIT: usize = 200_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Inbound,
    OutboundApi,
    /// The carrier's own answer to STOP, START or HELP.
    OutboundReply,
}

impl Direction {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::OutboundApi => "outbound-api",
            Self::OutboundReply => "outbound-reply",
        }
    }
}

/// The statuses that this carrier uses, in Twilio's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Received,
    Queued,
    Sent,
    Delivered,
    Undelivered,
    Failed,
}

impl Status {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Queued => "queued",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Undelivered => "undelivered",
            Self::Failed => "failed",
        }
    }

    pub(crate) fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Sent)
    }
}

#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) carrier: CarrierName,
    pub(crate) sid: String,
    pub(crate) direction: Direction,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) body: String,
    pub(crate) media_urls: Vec<String>,
    /// Beside the addresses, of a text from a phone.
    pub(crate) media_types: Vec<String>,
    pub(crate) segments: usize,
    pub(crate) status: Status,
    pub(crate) error_code: Option<u32>,
    /// Since when the text shows on the phone it was sent to, if it does.
    pub(crate) on_phone_at: Option<DateTime<Utc>>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) sent_at: Option<DateTime<Utc>>,
}

impl Message {
    fn shows_on_phone(&self) -> bool {
        self.on_phone_at.is_some() && self.direction != Direction::Inbound
    }

    /// When the text shows on its phone, or was written there.
    pub(crate) fn shown_at(&self) -> DateTime<Utc> {
        self.on_phone_at.unwrap_or(self.created_at)
    }

    /// The phone that wrote the text, or on which it shows.
    fn phone(&self) -> Option<&str> {
        match self.direction {
            Direction::Inbound => Some(&self.from),
            _ => self.on_phone_at.map(|_| self.to.as_str()),
        }
    }

    /// The type of a medium, as the carrier tells it.
    pub(crate) fn media_type(&self, index: usize) -> &str {
        self.media_types.get(index).map_or(USUAL_TYPE, String::as_str)
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message").field("sid", &self.sid).field("status", &self.status).finish_non_exhaustive()
    }
}

/// The messages in the order in which they came. A message's place is a running number that is never used again.
pub(crate) struct History {
    limit: usize,
    /// The place of the oldest remembered message.
    oldest: u64,
    messages: VecDeque<Message>,
    by_sid: HashMap<String, u64>,
    by_to: HashMap<String, VecDeque<u64>>,
    by_from: HashMap<String, VecDeque<u64>>,
}

impl History {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            oldest: 0,
            messages: VecDeque::new(),
            by_sid: HashMap::new(),
            by_to: HashMap::new(),
            by_from: HashMap::new(),
        }
    }

    pub(crate) fn record(&mut self, message: Message) {
        let place = self.oldest + self.messages.len() as u64;
        self.by_sid.insert(message.sid.clone(), place);
        self.by_to.entry(message.to.clone()).or_default().push_back(place);
        self.by_from.entry(message.from.clone()).or_default().push_back(place);
        self.messages.push_back(message);
        if self.messages.len() > self.limit {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(message) = self.messages.pop_front() else { return };
        self.oldest += 1;
        self.by_sid.remove(&message.sid);
        for (index, number) in [(&mut self.by_to, &message.to), (&mut self.by_from, &message.from)] {
            if let Some(places) = index.get_mut(number) {
                places.pop_front();
                if places.is_empty() {
                    index.remove(number);
                }
            }
        }
    }

    pub(crate) fn find(&self, sid: &str) -> Option<&Message> {
        self.at(*self.by_sid.get(sid)?)
    }

    fn at(&self, place: u64) -> Option<&Message> {
        self.messages.get(usize::try_from(place.checked_sub(self.oldest)?).ok()?)
    }

    fn find_mut(&mut self, sid: &str) -> Option<&mut Message> {
        let place = self.by_sid.get(sid)?.checked_sub(self.oldest)?;
        self.messages.get_mut(usize::try_from(place).ok()?)
    }

    /// A text shows on its phone from now on.
    pub(crate) fn mark_on_phone(&mut self, sid: &str, now: DateTime<Utc>) {
        if let Some(message) = self.find_mut(sid) {
            message.on_phone_at = Some(now);
        }
    }

    /// Moves a message forward. A final status stays, in whatever order the steps come.
    pub(crate) fn mark_status(&mut self, sid: &str, status: Status, error_code: Option<u32>, now: DateTime<Utc>) {
        let Some(message) = self.find_mut(sid) else { return };
        if message.status.is_final() {
            return;
        }
        message.status = status;
        message.error_code = error_code;
        message.updated_at = now;
        if status != Status::Failed {
            message.sent_at.get_or_insert(now);
        }
    }

    /// Messages to and from the given numbers, newest first.
    pub(crate) fn list<'a>(
        &'a self,
        to: Option<&'a str>,
        from: Option<&'a str>,
    ) -> Box<dyn Iterator<Item = &'a Message> + 'a> {
        let fits = move |message: &&Message| {
            to.is_none_or(|to| message.to == to) && from.is_none_or(|from| message.from == from)
        };
        let places =
            |index: &'a HashMap<String, VecDeque<u64>>, number: Option<&str>| number.map(|number| index.get(number));
        let shortest = [places(&self.by_to, to), places(&self.by_from, from)]
            .into_iter()
            .flatten()
            .min_by_key(|places| places.map_or(0, VecDeque::len));
        match shortest {
            None => Box::new(self.messages.iter().rev()),
            Some(places) => {
                Box::new(places.into_iter().flatten().rev().filter_map(|place| self.at(*place)).filter(fits))
            }
        }
    }

    /// What a phone got, oldest first; at most the newest `limit`.
    pub(crate) fn list_inbox<'a>(&'a self, phone: &'a str, limit: usize) -> Vec<&'a Message> {
        let mut inbox: Vec<&Message> =
            self.list(Some(phone), None).filter(|message| message.shows_on_phone()).take(limit).collect();
        inbox.reverse();
        inbox
    }

    /// What a phone wrote and got, in the order in which it shows there; at most the newest `limit`.
    pub(crate) fn list_phone<'a>(&'a self, phone: &'a str, limit: usize) -> Vec<&'a Message> {
        let written = self.list(None, Some(phone)).filter(|message| message.direction == Direction::Inbound);
        let received = self.list(Some(phone), None).filter(|message| message.shows_on_phone());
        let mut shown: Vec<&Message> = written.take(limit).collect();
        shown.reverse();
        let mut received: Vec<&Message> = received.take(limit).collect();
        received.reverse();
        // What came in the same moment answers what was written.
        shown.extend(received);
        shown.sort_by_key(|message| message.shown_at());
        shown.split_off(shown.len().saturating_sub(limit))
    }

    /// The phones that wrote or got something, each with what shows there at last, newest first. Looks at the newest
    /// `messages` only and finds at most `phones`.
    pub(crate) fn list_phones(&self, messages: usize, phones: usize) -> Vec<(&str, &Message)> {
        let mut seen = HashSet::new();
        self.messages
            .iter()
            .rev()
            .take(messages)
            .filter_map(|message| Some((message.phone()?, message)))
            .filter(|(phone, _)| seen.insert(*phone))
            .take(phones)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(sid: &str, from: &str, to: &str) -> Message {
        let now = Utc::now();
        Message {
            carrier: CarrierName::Twilio,
            sid: sid.to_owned(),
            direction: Direction::OutboundApi,
            from: from.to_owned(),
            to: to.to_owned(),
            body: "hello".to_owned(),
            media_urls: Vec::new(),
            media_types: Vec::new(),
            segments: 1,
            status: Status::Queued,
            error_code: None,
            on_phone_at: Some(now),
            created_at: now,
            updated_at: now,
            sent_at: None,
        }
    }

    fn sids<'a>(messages: impl Iterator<Item = &'a Message>) -> Vec<&'a str> {
        messages.map(|message| message.sid.as_str()).collect()
    }

    #[test]
    fn lists_are_newest_first_and_the_oldest_are_forgotten_everywhere() {
        let mut history = History::new(3);
        for (sid, from, to) in [("1", "a", "x"), ("2", "a", "y"), ("3", "b", "x"), ("4", "a", "x")] {
            history.record(message(sid, from, to));
        }
        assert_eq!(sids(history.list(None, None)), ["4", "3", "2"]);
        assert_eq!(sids(history.list(Some("x"), None)), ["4", "3"]);
        assert_eq!(sids(history.list(Some("x"), Some("a"))), ["4"]);
        assert_eq!(sids(history.list(None, Some("nobody"))), [""; 0]);
        assert_eq!(sids(history.list_inbox("x", 10).into_iter()), ["3", "4"]);
        assert_eq!(sids(history.list_inbox("x", 1).into_iter()), ["4"]);
        assert!(history.find("1").is_none());
        assert_eq!(history.find("4").unwrap().sid, "4");
        for sid in ["5", "6", "7"] {
            history.record(message(sid, "c", "z"));
        }
        assert_eq!((history.by_to.len(), history.by_from.len(), history.by_sid.len()), (1, 1, 3));
    }

    #[test]
    fn a_phone_shows_what_it_wrote_and_what_is_on_it_in_the_order_of_its_own_clock() {
        let mut history = History::new(10);
        let start = Utc::now();
        let at = |seconds| start + chrono::TimeDelta::seconds(seconds);
        for (second, sid, from, to, direction, on_phone) in [
            (0, "late", "number", "phone", Direction::OutboundApi, Some(3)),
            (1, "written", "phone", "number", Direction::Inbound, None),
            (1, "reply", "number", "phone", Direction::OutboundReply, Some(1)),
            (2, "lost", "number", "phone", Direction::OutboundApi, None),
            (4, "other", "number", "another phone", Direction::OutboundApi, Some(4)),
        ] {
            history.record(Message {
                direction,
                created_at: at(second),
                on_phone_at: on_phone.map(at),
                ..message(sid, from, to)
            });
        }
        assert_eq!(sids(history.list_phone("phone", 10).into_iter()), ["written", "reply", "late"]);
        assert_eq!(sids(history.list_phone("phone", 2).into_iter()), ["reply", "late"]);
        let phones = |messages, phones| -> Vec<&str> {
            history.list_phones(messages, phones).into_iter().map(|(phone, _)| phone).collect()
        };
        assert_eq!(phones(10, 10), ["another phone", "phone"]);
        assert_eq!((phones(10, 1), phones(1, 10)), (vec!["another phone"], vec!["another phone"]));
    }

    #[test]
    fn a_final_status_stays() {
        let mut history = History::new(3);
        history.record(message("1", "a", "x"));
        history.mark_status("1", Status::Delivered, None, Utc::now());
        history.mark_status("1", Status::Sent, None, Utc::now());
        let message = history.find("1").unwrap();
        assert_eq!(message.status, Status::Delivered);
        assert!(message.sent_at.is_some());
    }
}
