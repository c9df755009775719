//! Who gets which message of one send: every recipient either a number and its text or a rejection with a code (rules 9,
//! 10, 12, 13).

use std::collections::{HashMap, HashSet};

use domain::{Conversation, Id, LicenseId, PersonId, PhoneNumber};
use serde::{Deserialize, Serialize};

use super::{CANNOT_RECEIVE_SMS, Filled, Homes, RECIPIENT_OPTED_OUT, Text, TiedPerson};

/// A recipient as the caller names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Recipient {
    PersonId(PersonId),
    ConversationId(Id<Conversation>),
    /// An id that cannot be one of ours: it names nothing.
    UnknownConversation(String),
}

/// What was found for the recipients of one send.
#[derive(Debug, Default)]
pub(crate) struct ResolvedRecipients {
    /// The preferred number of each person that exists.
    pub people: HashMap<PersonId, Option<PhoneNumber>>,
    /// The number of each conversation that exists.
    pub conversations: HashMap<Id<Conversation>, PhoneNumber>,
}

/// Why a recipient gets nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rejection {
    pub recipient: Recipient,
    pub code: String,
    pub detail: String,
    /// The conversation in which there is something that the manager has not seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_on: Option<Id<Conversation>>,
}

/// What is written to everybody, and what fills it in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wording<'a> {
    pub text: &'a Text,
    /// Empty where the text does not name it.
    pub company: &'a str,
}

/// A recipient that gets a message.
#[derive(Debug, Clone)]
pub(crate) struct AcceptedRecipient {
    /// Its place among the recipients.
    pub position: usize,
    pub number: PhoneNumber,
    pub filled: Filled,
}

/// Decides for each recipient, in order. A number that is named twice gets one message, filled in for the first who is
/// named (rule 10). With `last_seen`, the feed position that the manager has seen, nothing goes into a conversation that
/// has a message after it.
pub(crate) fn decide_recipients(
    license_id: &LicenseId,
    recipients: &[Recipient],
    resolved: &ResolvedRecipients,
    homes: &Homes,
    last_seen: Option<i64>,
    wording: Wording<'_>,
) -> (Vec<AcceptedRecipient>, Vec<Rejection>) {
    let mut accepted = Vec::with_capacity(recipients.len());
    let mut rejected = Vec::new();
    let mut named = HashSet::with_capacity(recipients.len());
    for (position, recipient) in recipients.iter().enumerate() {
        let decision = decide_number(license_id, recipient, resolved, homes);
        let moved_on =
            decision.ok().zip(last_seen).and_then(|(number, seen)| homes.find_moved_on(license_id, number, seen));
        let decision = match moved_on {
            Some(_) => Err(MOVED_ON),
            None => decision.and_then(|number| {
                if named.contains(&number) {
                    return Err(DUPLICATE);
                }
                let filled = fill(license_id, recipient, number, homes, wording)?;
                named.insert(number);
                Ok((number, filled))
            }),
        };
        match decision {
            Ok((number, filled)) => accepted.push(AcceptedRecipient { position, number, filled }),
            Err(reason) => rejected.push(Rejection { moved_on, ..Rejection::new(recipient, reason) }),
        }
    }
    (accepted, rejected)
}

/// The text for a person is that person's, in a conversation everybody's to whom the number belongs.
fn fill(
    license_id: &LicenseId,
    recipient: &Recipient,
    number: PhoneNumber,
    homes: &Homes,
    wording: Wording<'_>,
) -> Result<Filled, Reason> {
    let tied = if wording.text.has_fields() { homes.list_tied(license_id, number) } else { &[] };
    let is_meant = |person: &&TiedPerson| match recipient {
        Recipient::PersonId(id) => person.person_id == *id,
        Recipient::ConversationId(_) | Recipient::UnknownConversation(_) => true,
    };
    let names: Vec<&str> = tied.iter().filter(is_meant).map(|person| person.name.as_str()).collect();
    // It was a text before: with the fields filled in it can only be too long.
    wording.text.fill(&names, wording.company).map_err(|_| TOO_LONG)
}

/// Code and sentence.
pub(crate) type Reason = (&'static str, &'static str);

impl Rejection {
    pub(crate) fn new(recipient: &Recipient, (code, detail): Reason) -> Self {
        Self { recipient: recipient.clone(), code: code.to_owned(), detail: detail.to_owned(), moved_on: None }
    }
}

/// Of a scheduled send when it is due: a send of now is refused whole.
pub(crate) const COMPANY_NAME_UNKNOWN: Reason =
    ("company_name_unknown", "The text names the company, and the company's name is not known.");
/// Of a scheduled send that our own database does not take.
pub(crate) const CANNOT_BE_SENT: Reason = ("cannot_be_sent", "This send could not be carried out.");
const NO_PERSON: Reason = ("person_not_found", "There is no such person.");
const NO_PHONE: Reason = ("person_has_no_phone", "This person has no phone number.");
const NO_CONVERSATION: Reason = ("conversation_not_found", "There is no such conversation.");
const NO_LONGER_TIED: Reason =
    ("number_no_longer_tied", "The number of this conversation no longer belongs to the people in it.");
const OPTED_OUT: Reason = (RECIPIENT_OPTED_OUT, "No texts are wanted at this number. START from it lifts that.");
const TEXTLESS: Reason =
    (CANNOT_RECEIVE_SMS, "This number cannot receive text messages: it is a landline or the like.");
const MOVED_ON: Reason =
    ("conversation_moved_on", "There are messages in this conversation that you have not seen. Send again to insist.");
const TOO_LONG: Reason =
    ("body_too_long", "With its merge fields filled in for this recipient the text is longer than can be sent.");
const DUPLICATE: Reason = ("duplicate_recipient", "Another recipient of this send has the same number.");

fn decide_number(
    license_id: &LicenseId,
    recipient: &Recipient,
    resolved: &ResolvedRecipients,
    homes: &Homes,
) -> Result<PhoneNumber, Reason> {
    let number = match recipient {
        Recipient::PersonId(person_id) => resolved.people.get(person_id).ok_or(NO_PERSON)?.ok_or(NO_PHONE)?,
        Recipient::ConversationId(id) => {
            let number = *resolved.conversations.get(id).ok_or(NO_CONVERSATION)?;
            if !homes.is_tied(license_id, number, *id) {
                return Err(NO_LONGER_TIED);
            }
            number
        }
        Recipient::UnknownConversation(_) => return Err(NO_CONVERSATION),
    };
    if homes.is_opted_out(license_id, number) {
        Err(OPTED_OUT)
    } else if homes.is_textless(license_id, number) {
        Err(TEXTLESS)
    } else {
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use domain::{MessageBody, PersonKind};

    use super::*;

    #[test]
    fn one_bad_recipient_never_stops_the_others_and_a_shared_number_gets_one_message() {
        let license = LicenseId::parse("acme").unwrap();
        let person = |id: &str| PersonId::parse(id).unwrap();
        let number = PhoneNumber::parse("+14155550123").unwrap();
        let resolved = ResolvedRecipients {
            people: HashMap::from([
                (person("ann"), Some(number)),
                (person("bob"), Some(number)),
                (person("cat"), None),
            ]),
            conversations: HashMap::new(),
        };
        let recipients = [
            Recipient::PersonId(person("ann")),
            Recipient::PersonId(person("bob")),
            Recipient::PersonId(person("cat")),
            Recipient::PersonId(person("dan")),
            Recipient::ConversationId(Id::new()),
            Recipient::UnknownConversation("x".to_owned()),
        ];
        let body = MessageBody::parse("hello").unwrap();
        let wording = Wording { text: &Text::parse(&body).unwrap(), company: "" };
        let (accepted, rejected) =
            decide_recipients(&license, &recipients, &resolved, &Homes::default(), None, wording);
        let numbers: Vec<_> = accepted.iter().map(|each| (each.position, each.number)).collect();
        assert_eq!(numbers, vec![(0, number)]);
        let codes: Vec<_> = rejected.iter().map(|rejection| rejection.code.as_str()).collect();
        assert_eq!(
            codes,
            [
                "duplicate_recipient",
                "person_has_no_phone",
                "person_not_found",
                "conversation_not_found",
                "conversation_not_found"
            ]
        );
    }

    #[test]
    fn of_two_people_who_share_a_number_the_first_whose_text_fits_is_addressed() {
        let license = LicenseId::parse("acme").unwrap();
        let number = PhoneNumber::parse("+14155550123").unwrap();
        let person = |id: &str| PersonId::parse(id).unwrap();
        let long = "n".repeat(200);
        let mut homes = Homes::default();
        for (id, name) in [("ann", "Ann"), ("bob", "Bob"), ("long", &*long)] {
            let tied = TiedPerson { person_id: person(id), kind: PersonKind::Tenant, name: name.to_owned() };
            homes.add_tied(license.clone(), number, tied);
        }
        let resolved = ResolvedRecipients {
            people: ["ann", "bob", "long"].map(|id| (person(id), Some(number))).into(),
            conversations: HashMap::new(),
        };
        let body = MessageBody::parse(format!("{{{{person.name}}}}{}", "x".repeat(1_500))).unwrap();
        let wording = Wording { text: &Text::parse(&body).unwrap(), company: "" };
        let recipients = ["long", "bob", "ann"].map(|id| Recipient::PersonId(person(id)));
        let (accepted, rejected) = decide_recipients(&license, &recipients, &resolved, &homes, None, wording);
        assert!(accepted[0].filled.body.as_str().starts_with("Bobx"));
        assert_eq!((accepted.len(), accepted[0].position), (1, 1));
        let codes: Vec<_> = rejected.iter().map(|rejection| rejection.code.as_str()).collect();
        assert_eq!(codes, ["body_too_long", "duplicate_recipient"]);
    }
}
