//! Who gets a message of one send: every recipient either a number or a rejection with a code (rules 9, 10, 12, 13).

use std::collections::{HashMap, HashSet};

use domain::{Conversation, Id, LicenseId, PersonId, PhoneNumber};
use serde::{Deserialize, Serialize};

use super::{CANNOT_RECEIVE_SMS, Homes, RECIPIENT_OPTED_OUT};

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

/// Decides for each recipient, in order. A number that is named twice gets one message (rule 10). With `last_seen`, the
/// feed position that the manager has seen, nothing goes into a conversation that has a message after it.
pub(crate) fn decide_numbers(
    license_id: &LicenseId,
    recipients: &[Recipient],
    resolved: &ResolvedRecipients,
    homes: &Homes,
    last_seen: Option<i64>,
) -> (Vec<PhoneNumber>, Vec<Rejection>) {
    let mut accepted = Vec::with_capacity(recipients.len());
    let mut rejected = Vec::new();
    let mut named = HashSet::with_capacity(recipients.len());
    for recipient in recipients {
        let decision = decide_number(license_id, recipient, resolved, homes);
        let moved_on =
            decision.ok().zip(last_seen).and_then(|(number, seen)| homes.find_moved_on(license_id, number, seen));
        let decision = match moved_on {
            Some(_) => Err(MOVED_ON),
            None => decision.and_then(|number| if named.insert(number) { Ok(number) } else { Err(DUPLICATE) }),
        };
        match decision {
            Ok(number) => accepted.push(number),
            Err((code, detail)) => {
                rejected.push(Rejection {
                    recipient: recipient.clone(),
                    code: code.to_owned(),
                    detail: detail.to_owned(),
                    moved_on,
                });
            }
        }
    }
    (accepted, rejected)
}

type Reason = (&'static str, &'static str);

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
        let (accepted, rejected) = decide_numbers(&license, &recipients, &resolved, &Homes::default(), None);
        assert_eq!(accepted, vec![number]);
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
}
