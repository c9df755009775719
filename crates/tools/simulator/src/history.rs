//! Every message the carrier has seen, both directions, and what each phone got.
//! Bounded: the newest 200,000 messages stay, older ones are forgotten. Recording costs the same however many there are;
//! lists go through an index per number.

use std::collections::{HashMap, VecDeque};
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
    /// Whether the text shows on the phone it was sent to.
    pub(crate) on_phone: bool,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) updated_at: DateTime<Utc>,
    pub(crate) sent_at: Option<DateTime<Utc>>,
}

impl Message {
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

    /// Moves a message forward. A final status stays, in whatever order the steps come.
    pub(crate) fn mark_status(&mut self, sid: &str, status: Status, error_code: Option<u32>, now: DateTime<Utc>) {
        let Some(place) = self.by_sid.get(sid).and_then(|place| place.checked_sub(self.oldest)) else { return };
        let Some(message) = usize::try_from(place).ok().and_then(|at| self.messages.get_mut(at)) else { return };
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
        let mut inbox: Vec<&Message> = self
            .list(Some(phone), None)
            .filter(|message| message.on_phone && message.direction != Direction::Inbound)
            .take(limit)
            .collect();
        inbox.reverse();
        inbox
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
            on_phone: true,
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
