//! What goes wrong, how and how often. A fault names the kind of call it waits for (`on`) and what happens to it (`kind`);
//! the first fault that fits a call is used, and its count goes down by one.
//! It refuses combinations that make no sense, such as a lost search.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::carrier::CarrierName;
use crate::e164;

/// The most faults that can be set at once.
const MAX_FAULTS: usize = 1_000;
/// A held connection that names no delay stays this long.
const HOLD: Duration = Duration::from_mins(1);
/// An order that stays pending and names no delay is settled after this.
const PENDING: Duration = Duration::from_secs(5);
/// A late receipt or webhook that names no delay is late by this much.
const LATE: Duration = Duration::from_secs(5);
/// What is younger than this is not listed, when a stale list names no delay.
const STALE: Duration = Duration::from_secs(5);
/// Codes of carriers have so many digits at most.
const MAX_CODE: u32 = 99_999;
/// The longest delay, so that a slip of the finger does not hold a test for ever.
const MAX_DELAY: Duration = Duration::from_hours(1);

/// Which call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Point {
    /// a message is sent
    Send,
    /// numbers for sale are looked for
    Search,
    /// a number is bought
    Buy,
    /// an owned number gets other settings, or a profile or an application of Telnyx is made or changed
    Configure,
    /// an owned number is given back
    Release,
    /// a number is looked up
    Lookup,
    /// what the account has is read: messages, numbers, orders, profiles, applications; lists and single ones
    List,
    /// a file of a text is fetched
    Media,
    /// the receipts of one accepted message
    Receipt,
    /// the webhook of one text that a phone sent
    Inbound,
}

/// What happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    #[serde(rename = "http_429")]
    Http429,
    #[serde(rename = "http_500")]
    Http500,
    #[serde(rename = "http_500_after_accept")]
    Http500AfterAccept,
    TimeoutBeforeAccept,
    TimeoutAfterAccept,
    ResetBeforeAccept,
    ResetAfterAccept,
    Landline,
    QueueFull,
    Stale,
    AreaCodeEmpty,
    SoldOut,
    SoldMeanwhile,
    OrderPending,
    OrderFailed,
    Refused,
    Lost,
    Late,
    Doubled,
    Reordered,
    Undelivered,
    Failed,
}

const CALL: [Kind; 7] = [
    Kind::Http429,
    Kind::Http500,
    Kind::Http500AfterAccept,
    Kind::TimeoutBeforeAccept,
    Kind::TimeoutAfterAccept,
    Kind::ResetBeforeAccept,
    Kind::ResetAfterAccept,
];
const READ: [Kind; 4] = [Kind::Http429, Kind::Http500, Kind::TimeoutBeforeAccept, Kind::ResetBeforeAccept];

impl Kind {
    /// Only Telnyx has orders that are settled later, and only Twilio has a list of messages.
    fn is_played_by(self, carrier: CarrierName) -> bool {
        match self {
            Self::OrderPending | Self::OrderFailed => carrier == CarrierName::Telnyx,
            Self::Stale => carrier == CarrierName::Twilio,
            _ => true,
        }
    }
}

impl Point {
    fn allows(self, kind: Kind) -> bool {
        match self {
            Self::Send => CALL.contains(&kind) || matches!(kind, Kind::Landline | Kind::QueueFull),
            Self::Search => READ.contains(&kind) || matches!(kind, Kind::AreaCodeEmpty | Kind::SoldOut),
            Self::Buy => {
                CALL.contains(&kind)
                    || matches!(kind, Kind::SoldMeanwhile | Kind::OrderPending | Kind::OrderFailed | Kind::Refused)
            }
            Self::Configure | Self::Release => CALL.contains(&kind) || kind == Kind::Refused,
            Self::Lookup => READ.contains(&kind) || kind == Kind::Landline,
            Self::List => READ.contains(&kind) || kind == Kind::Stale,
            Self::Media => READ.contains(&kind) || kind == Kind::Lost,
            Self::Receipt => matches!(
                kind,
                Kind::Lost | Kind::Late | Kind::Doubled | Kind::Reordered | Kind::Undelivered | Kind::Failed
            ),
            Self::Inbound => matches!(kind, Kind::Lost | Kind::Late | Kind::Doubled),
        }
    }

    /// Whether calls of this kind are about one number, which `to` can name.
    fn has_number(self) -> bool {
        !matches!(self, Self::Search | Self::List | Self::Media)
    }

    fn has_area_code(self) -> bool {
        !matches!(self, Self::List | Self::Media)
    }
}

/// How a call fails instead of being answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    TooManyRequests,
    ServerError,
    /// The connection stays open without an answer this long and is then closed.
    Hold(Duration),
    /// The connection is closed at once without an answer.
    Reset,
}

/// One fault as it is set and shown. A missing or null `count` means: until it is deleted.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fault {
    pub(crate) on: Point,
    pub(crate) kind: Kind,
    /// Only at this carrier.
    #[serde(default)]
    pub(crate) carrier: Option<CarrierName>,
    #[serde(default)]
    pub(crate) count: Option<u32>,
    #[serde(default)]
    pub(crate) delay_ms: Option<u64>,
    /// Only of a receipt that is bad news: the carrier's code for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<u32>,
    /// Only calls about this number: the recipient of a send, the number bought, the number a phone texted.
    #[serde(default)]
    pub(crate) to: Option<String>,
    /// Only calls about this area code.
    #[serde(default)]
    pub(crate) area_code: Option<String>,
}

impl Fault {
    /// What to do instead of handling the call.
    pub(crate) fn before_accept(&self) -> Option<Trouble> {
        match self.kind {
            Kind::Http429 => Some(Trouble::TooManyRequests),
            Kind::Http500 => Some(Trouble::ServerError),
            Kind::TimeoutBeforeAccept => Some(Trouble::Hold(self.delay_or(HOLD))),
            Kind::ResetBeforeAccept => Some(Trouble::Reset),
            _ => None,
        }
    }

    /// What to do instead of answering a call that was handled.
    pub(crate) fn after_accept(&self) -> Option<Trouble> {
        match self.kind {
            Kind::Http500AfterAccept => Some(Trouble::ServerError),
            Kind::TimeoutAfterAccept => Some(Trouble::Hold(self.delay_or(HOLD))),
            Kind::ResetAfterAccept => Some(Trouble::Reset),
            _ => None,
        }
    }

    pub(crate) fn lateness(&self) -> Duration {
        self.delay_or(LATE)
    }

    /// How old a message must be to be listed, if the fault is about that.
    pub(crate) fn staleness(&self) -> Option<Duration> {
        (self.kind == Kind::Stale).then(|| self.delay_or(STALE))
    }

    /// How long an order stays open, and whether it succeeds in the end, if the fault is about that.
    pub(crate) fn order_end(&self) -> (Option<Duration>, bool) {
        match self.kind {
            Kind::OrderPending => (Some(self.delay_or(PENDING)), true),
            kind => (None, kind != Kind::OrderFailed),
        }
    }

    /// Whether the call is refused for good, without a reason that trying again could change.
    pub(crate) fn is_refusal(&self) -> bool {
        self.kind == Kind::Refused
    }

    fn delay_or(&self, default: Duration) -> Duration {
        self.delay_ms.map_or(default, Duration::from_millis)
    }

    fn has_delay(&self) -> bool {
        matches!(
            self.kind,
            Kind::TimeoutBeforeAccept | Kind::TimeoutAfterAccept | Kind::Late | Kind::OrderPending | Kind::Stale
        )
    }

    fn fits(&self, carrier: CarrierName, on: Point, subject: Subject<'_>) -> bool {
        self.on == on
            && self.kind.is_played_by(carrier)
            && (self.kind != Kind::Stale || subject.is_message_list)
            && self.carrier.is_none_or(|wanted| wanted == carrier)
            && self.to.as_deref().is_none_or(|to| subject.number == Some(to))
            && self.area_code.as_deref().is_none_or(|area_code| subject.find_area_code() == Some(area_code))
    }

    fn check(&self) -> Result<(), FaultRefused> {
        if !self.on.allows(self.kind) {
            return Err(FaultRefused::Combination { on: self.on, kind: self.kind });
        }
        if let Some(carrier) = self.carrier.filter(|carrier| !self.kind.is_played_by(*carrier)) {
            return Err(FaultRefused::Carrier { carrier, kind: self.kind });
        }
        if self.count == Some(0) {
            return Err(FaultRefused::Count);
        }
        match self.delay_ms {
            Some(_) if !self.has_delay() => return Err(FaultRefused::Delay { kind: self.kind }),
            Some(delay) if Duration::from_millis(delay) > MAX_DELAY => return Err(FaultRefused::DelayTooLong),
            _ => {}
        }
        match self.code {
            Some(_) if !matches!(self.kind, Kind::Undelivered | Kind::Failed) => {
                return Err(FaultRefused::Code { kind: self.kind });
            }
            Some(code) if !(1..=MAX_CODE).contains(&code) => return Err(FaultRefused::NoCode),
            _ => {}
        }
        if let Some(to) = &self.to {
            if !self.on.has_number() {
                return Err(FaultRefused::Filter { field: "to", on: self.on });
            }
            if !e164::is_dialable(to) {
                return Err(FaultRefused::To);
            }
        }
        if let Some(area_code) = &self.area_code {
            if !self.on.has_area_code() {
                return Err(FaultRefused::Filter { field: "area_code", on: self.on });
            }
            if area_code.len() != 3 || !area_code.bytes().all(|digit| digit.is_ascii_digit()) {
                return Err(FaultRefused::AreaCode);
            }
        }
        Ok(())
    }
}

/// What a call is about, as far as faults can choose by it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Subject<'a> {
    number: Option<&'a str>,
    area_code: Option<&'a str>,
    is_message_list: bool,
}

impl<'a> Subject<'a> {
    pub(crate) fn number(number: &'a str) -> Self {
        Self { number: Some(number), ..Self::default() }
    }

    pub(crate) fn area_code(area_code: Option<&'a str>) -> Self {
        Self { area_code, ..Self::default() }
    }

    pub(crate) fn message_list() -> Self {
        Self { is_message_list: true, ..Self::default() }
    }

    fn find_area_code(self) -> Option<&'a str> {
        self.area_code.or_else(|| e164::find_area_code(self.number?))
    }
}

/// Why a set of faults is not taken. The sentence names the field.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum FaultRefused {
    #[error("kind {kind:?} cannot happen on {on:?}; the README lists the kinds of each call")]
    Combination { on: Point, kind: Kind },
    #[error("kind {kind:?} cannot happen at {carrier:?}")]
    Carrier { carrier: CarrierName, kind: Kind },
    #[error("count must be 1 or more, or null for a fault that stays until it is deleted")]
    Count,
    #[error("delay_ms has no meaning for kind {kind:?}")]
    Delay { kind: Kind },
    #[error("code has no meaning for kind {kind:?}")]
    Code { kind: Kind },
    #[error("code must be one of a carrier's, such as 30022 or 40016")]
    NoCode,
    #[error("delay_ms must be at most one hour")]
    DelayTooLong,
    #[error("{field} cannot choose among calls of {on:?}")]
    Filter { field: &'static str, on: Point },
    #[error("to must be a North American number such as +14155550123")]
    To,
    #[error("area_code must be three digits")]
    AreaCode,
    #[error("faults holds more than {MAX_FAULTS} entries")]
    TooMany,
}

/// The faults that are set, in the order in which they were given.
#[derive(Default)]
pub(crate) struct Faults {
    set: Vec<Fault>,
}

impl Faults {
    /// Replaces all faults, or none if one of them is refused.
    pub(crate) fn replace(&mut self, faults: Vec<Fault>) -> Result<(), FaultRefused> {
        if faults.len() > MAX_FAULTS {
            return Err(FaultRefused::TooMany);
        }
        faults.iter().try_for_each(Fault::check)?;
        self.set = faults;
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        self.set.clear();
    }

    pub(crate) fn list(&self) -> &[Fault] {
        &self.set
    }

    /// Takes the first fault for this call and counts it as used.
    pub(crate) fn take(&mut self, carrier: CarrierName, on: Point, subject: Subject<'_>) -> Option<Fault> {
        let at = self.set.iter().position(|fault| fault.fits(carrier, on, subject))?;
        let fault = self.set[at].clone();
        match &mut self.set[at].count {
            Some(1) => {
                self.set.remove(at);
            }
            Some(count) => *count -= 1,
            None => {}
        }
        Some(fault)
    }

    /// Whether such a fault is set, without using it.
    pub(crate) fn is_set(&self, carrier: CarrierName, on: Point, kind: Kind, subject: Subject<'_>) -> bool {
        self.set.iter().any(|fault| fault.kind == kind && fault.fits(carrier, on, subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(json: &str) -> Fault {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_counted_fault_is_used_up_and_an_uncounted_one_stays() {
        let mut faults = Faults::default();
        faults
            .replace(vec![
                fault(r#"{"on":"send","kind":"http_429","count":2}"#),
                fault(r#"{"on":"send","kind":"http_500"}"#),
            ])
            .unwrap();
        let kinds: Vec<Kind> =
            (0..4).map(|_| faults.take(CarrierName::Twilio, Point::Send, Subject::default()).unwrap().kind).collect();
        assert_eq!(kinds, [Kind::Http429, Kind::Http429, Kind::Http500, Kind::Http500]);
        assert_eq!(faults.list().len(), 1);
    }

    #[test]
    fn a_fault_chooses_by_number_and_area_code() {
        let mut faults = Faults::default();
        faults
            .replace(vec![
                fault(r#"{"on":"send","kind":"landline","to":"+14155550123"}"#),
                fault(r#"{"on":"buy","kind":"http_500","area_code":"907"}"#),
            ])
            .unwrap();
        assert!(faults.take(CarrierName::Twilio, Point::Send, Subject::number("+14155550124")).is_none());
        assert!(faults.take(CarrierName::Twilio, Point::Send, Subject::number("+14155550123")).is_some());
        assert!(faults.take(CarrierName::Twilio, Point::Buy, Subject::number("+19075550123")).is_some());
        assert!(faults.take(CarrierName::Twilio, Point::Buy, Subject::area_code(Some("907"))).is_some());
        assert!(faults.take(CarrierName::Twilio, Point::Buy, Subject::area_code(None)).is_none());
    }

    #[test]
    fn a_fault_chooses_by_carrier() {
        let mut faults = Faults::default();
        faults
            .replace(vec![
                fault(r#"{"on":"send","kind":"http_500","carrier":"telnyx"}"#),
                fault(r#"{"on":"buy","kind":"order_pending"}"#),
            ])
            .unwrap();
        for (on, subject) in [(Point::Send, Subject::default()), (Point::Buy, Subject::number("+14155550123"))] {
            assert!(faults.take(CarrierName::Twilio, on, subject).is_none(), "{on:?}");
            assert!(faults.take(CarrierName::Telnyx, on, subject).is_some(), "{on:?}");
        }
    }

    #[test]
    fn combinations_without_meaning_are_refused_and_change_nothing() {
        let mut faults = Faults::default();
        faults.replace(vec![fault(r#"{"on":"send","kind":"http_429"}"#)]).unwrap();
        for (json, refusal) in [
            (r#"{"on":"search","kind":"lost"}"#, FaultRefused::Combination { on: Point::Search, kind: Kind::Lost }),
            (
                r#"{"on":"buy","kind":"order_failed","carrier":"twilio"}"#,
                FaultRefused::Carrier { carrier: CarrierName::Twilio, kind: Kind::OrderFailed },
            ),
            (r#"{"on":"send","kind":"http_429","count":0}"#, FaultRefused::Count),
            (r#"{"on":"send","kind":"http_429","delay_ms":5}"#, FaultRefused::Delay { kind: Kind::Http429 }),
            (r#"{"on":"receipt","kind":"late","delay_ms":3600001}"#, FaultRefused::DelayTooLong),
            (r#"{"on":"receipt","kind":"late","code":30022}"#, FaultRefused::Code { kind: Kind::Late }),
            (r#"{"on":"receipt","kind":"failed","code":0}"#, FaultRefused::NoCode),
            (
                r#"{"on":"list","kind":"stale","carrier":"telnyx"}"#,
                FaultRefused::Carrier { carrier: CarrierName::Telnyx, kind: Kind::Stale },
            ),
            (
                r#"{"on":"search","kind":"sold_out","to":"+14155550123"}"#,
                FaultRefused::Filter { field: "to", on: Point::Search },
            ),
            (
                r#"{"on":"list","kind":"http_500","area_code":"415"}"#,
                FaultRefused::Filter { field: "area_code", on: Point::List },
            ),
            (r#"{"on":"send","kind":"landline","to":"4155550123"}"#, FaultRefused::To),
            (r#"{"on":"search","kind":"area_code_empty","area_code":"41"}"#, FaultRefused::AreaCode),
        ] {
            assert_eq!(faults.replace(vec![fault(json)]), Err(refusal), "{json}");
        }
        assert_eq!(faults.list().len(), 1);
    }
}
