//! Which conversation a message belongs to (rules 7, 8, 9, 10).
//!
//! The open conversation of a license and a number goes on as long as one of its people is tied to the number.
//! Who else is tied to it joins (two people may share a number). When only other people are tied, the old
//! conversation closes and a new one opens: nobody reads a stranger's messages.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Conversation, Id, LicenseId, Message, PersonId, PersonKind, PhoneNumber};

use super::KnownConsent;

/// A message that is older has gone out, or it is known why not.
const YOUNG: TimeDelta = TimeDelta::minutes(10);

/// Somebody to whom a number belongs now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TiedPerson {
    pub person_id: PersonId,
    pub kind: PersonKind,
    pub name: String,
}

/// The open conversation of a number, and its people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenConversation {
    pub conversation_id: Id<Conversation>,
    pub people: BTreeSet<PersonId>,
    /// The feed position of its newest message; 0: none.
    pub last_message_seq: i64,
    /// The newest message to this one person, and when it was accepted.
    pub last_reply: Option<(Id<Message>, DateTime<Utc>)>,
}

/// What is known of one number of one license.
#[derive(Debug, Clone, Default)]
pub(crate) struct NumberState {
    open: Option<OpenConversation>,
    tied: Vec<TiedPerson>,
    /// It cannot receive texts (rule 12), as far as anybody knows.
    textless: bool,
    /// Whether texts are wanted at it (rule 13). `None`: nothing was said.
    consent: Option<KnownConsent>,
}

/// A conversation to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opening {
    pub license_id: LicenseId,
    pub conversation_id: Id<Conversation>,
    pub number: PhoneNumber,
    pub opened_at: DateTime<Utc>,
}

/// What has to be written so that the homes found are true.
#[derive(Debug, Default)]
pub(crate) struct ConversationChanges {
    pub opened: Vec<Opening>,
    /// Replaced by a new conversation of the same number.
    pub closed: Vec<(LicenseId, Id<Conversation>)>,
    pub joined: Vec<(LicenseId, Id<Conversation>, TiedPerson)>,
}

impl ConversationChanges {
    /// Every conversation that looks different now, each once, in a fixed order.
    pub(crate) fn touched(&self) -> BTreeSet<(LicenseId, Id<Conversation>)> {
        let joined = self.joined.iter().map(|(license_id, conversation_id, _)| (license_id.clone(), *conversation_id));
        self.closed.iter().cloned().chain(joined).collect()
    }
}

/// The numbers that a batch of messages is about, and what they lead to.
#[derive(Debug, Default)]
pub(crate) struct Homes {
    numbers: BTreeMap<(LicenseId, PhoneNumber), NumberState>,
    pub changes: ConversationChanges,
}

impl Homes {
    pub(crate) fn add_tied(&mut self, license_id: LicenseId, number: PhoneNumber, person: TiedPerson) {
        self.numbers.entry((license_id, number)).or_default().tied.push(person);
    }

    pub(crate) fn add_open(&mut self, license_id: LicenseId, number: PhoneNumber, open: OpenConversation) {
        self.numbers.entry((license_id, number)).or_default().open = Some(open);
    }

    pub(crate) fn mark_textless(&mut self, license_id: LicenseId, number: PhoneNumber) {
        self.numbers.entry((license_id, number)).or_default().textless = true;
    }

    /// Has a carrier said that this number cannot receive texts?
    pub(crate) fn is_textless(&self, license_id: &LicenseId, number: PhoneNumber) -> bool {
        self.numbers.get(&(license_id.clone(), number)).is_some_and(|state| state.textless)
    }

    pub(crate) fn set_consent(&mut self, license_id: LicenseId, number: PhoneNumber, consent: KnownConsent) {
        self.numbers.entry((license_id, number)).or_default().consent = Some(consent);
    }

    /// What was said last about texts to this number.
    pub(crate) fn find_consent(&self, license_id: &LicenseId, number: PhoneNumber) -> Option<KnownConsent> {
        self.numbers.get(&(license_id.clone(), number))?.consent
    }

    /// Are texts to this number not wanted?
    pub(crate) fn is_opted_out(&self, license_id: &LicenseId, number: PhoneNumber) -> bool {
        self.find_consent(license_id, number).is_some_and(|consent| consent.opted_out)
    }

    /// The open conversation of the number, also one that is read-only.
    pub(crate) fn find_open(&self, license_id: &LicenseId, number: PhoneNumber) -> Option<Id<Conversation>> {
        self.numbers.get(&(license_id.clone(), number))?.open.as_ref().map(|open| open.conversation_id)
    }

    /// To whom the number belongs, those who have it longest first.
    pub(crate) fn list_tied(&self, license_id: &LicenseId, number: PhoneNumber) -> &[TiedPerson] {
        self.numbers.get(&(license_id.clone(), number)).map(|state| state.tied.as_slice()).unwrap_or_default()
    }

    /// To whom the number belongs, and the conversation with them, if one is open.
    pub(crate) fn find_people(
        &self,
        license_id: &LicenseId,
        number: PhoneNumber,
    ) -> (Vec<TiedPerson>, Option<Id<Conversation>>) {
        let Some(state) = self.numbers.get(&(license_id.clone(), number)) else { return (Vec::new(), None) };
        let open = state.open.as_ref().map(|open| open.conversation_id);
        (state.tied.clone(), open.filter(|id| self.is_tied(license_id, number, *id)))
    }

    /// Is this the open conversation of the number, and is one of its people still tied to it? Else it is read-only
    /// (rule 9).
    pub(crate) fn is_tied(&self, license_id: &LicenseId, number: PhoneNumber, id: Id<Conversation>) -> bool {
        let Some(state) = self.numbers.get(&(license_id.clone(), number)) else { return false };
        state.open.as_ref().is_some_and(|open| {
            open.conversation_id == id && state.tied.iter().any(|person| open.people.contains(&person.person_id))
        })
    }

    /// The conversation that a message to the number would go on with. `None`: it would open one.
    pub(crate) fn find_going_on(&self, license_id: &LicenseId, number: PhoneNumber) -> Option<Id<Conversation>> {
        self.find_open(license_id, number).filter(|id| self.is_tied(license_id, number, *id))
    }

    /// The conversation that a message to the number would go on with, if that has a message after this feed position.
    pub(crate) fn find_moved_on(
        &self,
        license_id: &LicenseId,
        number: PhoneNumber,
        seen: i64,
    ) -> Option<Id<Conversation>> {
        let open = self.numbers.get(&(license_id.clone(), number))?.open.as_ref()?;
        let moved_on = open.last_message_seq > seen && self.is_tied(license_id, number, open.conversation_id);
        moved_on.then_some(open.conversation_id)
    }

    /// The message after which the next one to this person goes. `None`: there is none that could still be under way.
    pub(crate) fn find_followed(
        &self,
        license_id: &LicenseId,
        number: PhoneNumber,
        now: DateTime<Utc>,
    ) -> Option<Id<Message>> {
        let (message_id, at) = self.numbers.get(&(license_id.clone(), number))?.open.as_ref()?.last_reply?;
        (now - at < YOUNG).then_some(message_id)
    }

    /// The conversation to which a message from or to the number belongs, opened if need be.
    /// `None`: the number is tied to nobody of the license (rule 8).
    pub(crate) fn settle(
        &mut self,
        license_id: &LicenseId,
        number: PhoneNumber,
        now: DateTime<Utc>,
    ) -> Option<Id<Conversation>> {
        let state = self.numbers.get_mut(&(license_id.clone(), number)).filter(|state| !state.tied.is_empty())?;
        let goes_on =
            state.open.take_if(|open| !state.tied.iter().any(|person| open.people.contains(&person.person_id)));
        if let Some(replaced) = goes_on {
            self.changes.closed.push((license_id.clone(), replaced.conversation_id));
        }
        let open = state.open.get_or_insert_with(|| {
            let conversation_id = Id::new();
            self.changes.opened.push(Opening {
                license_id: license_id.clone(),
                conversation_id,
                number,
                opened_at: now,
            });
            OpenConversation { conversation_id, people: BTreeSet::new(), last_message_seq: 0, last_reply: None }
        });
        for person in &state.tied {
            if open.people.insert(person.person_id.clone()) {
                self.changes.joined.push((license_id.clone(), open.conversation_id, person.clone()));
            }
        }
        Some(open.conversation_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn license() -> LicenseId {
        LicenseId::parse("acme").unwrap()
    }

    fn number() -> PhoneNumber {
        PhoneNumber::parse("+14155550123").unwrap()
    }

    fn person(id: &str) -> TiedPerson {
        TiedPerson { person_id: PersonId::parse(id).unwrap(), kind: PersonKind::Tenant, name: id.to_owned() }
    }

    /// A number that is tied to `tied`, with an open conversation of `people`, if any.
    fn homes(tied: &[&str], people: Option<&[&str]>) -> (Homes, Id<Conversation>) {
        let mut homes = Homes::default();
        let conversation_id = Id::new();
        for id in tied {
            homes.add_tied(license(), number(), person(id));
        }
        if let Some(people) = people {
            let people = people.iter().map(|id| PersonId::parse(*id).unwrap()).collect();
            let open = OpenConversation { conversation_id, people, last_message_seq: 7, last_reply: None };
            homes.add_open(license(), number(), open);
        }
        (homes, conversation_id)
    }

    #[test]
    fn the_first_message_of_a_number_opens_a_conversation_with_all_its_people() {
        let (mut homes, _) = homes(&["ann", "bob"], None);
        let home = homes.settle(&license(), number(), Utc::now()).unwrap();
        assert_eq!(homes.changes.opened[0].conversation_id, home);
        assert_eq!(homes.changes.joined.len(), 2, "two people may share a number: one conversation that names both");
        assert_eq!(homes.settle(&license(), number(), Utc::now()), Some(home), "and the next one stays in it");
        assert_eq!(homes.changes.opened.len(), 1);
    }

    #[test]
    fn a_message_belongs_to_the_one_open_conversation_of_the_license_and_the_number() {
        let (mut homes, open) = homes(&["ann"], Some(&["ann"]));
        assert_eq!(homes.settle(&license(), number(), Utc::now()), Some(open));
        assert!(homes.changes.opened.is_empty() && homes.changes.closed.is_empty() && homes.changes.joined.is_empty());
    }

    #[test]
    fn if_somebody_else_gets_the_number_the_old_conversation_stays_closed_and_a_new_one_is_opened() {
        let (mut homes, old) = homes(&["bob"], Some(&["ann"]));
        assert!(!homes.is_tied(&license(), number(), old));
        let home = homes.settle(&license(), number(), Utc::now()).unwrap();
        assert_ne!(home, old);
        assert_eq!(homes.changes.closed, vec![(license(), old)]);
    }

    #[test]
    fn if_one_of_the_same_people_gets_the_number_back_the_conversation_becomes_writable_again() {
        let (nobody, open) = homes(&[], Some(&["ann", "bob"]));
        assert!(!nobody.is_tied(&license(), number(), open));
        let (mut again, open) = homes(&["bob"], Some(&["ann", "bob"]));
        assert!(again.is_tied(&license(), number(), open));
        assert_eq!(again.settle(&license(), number(), Utc::now()), Some(open));
    }

    #[test]
    fn a_caller_is_whoever_the_number_belongs_to_and_never_leads_to_a_strangers_conversation() {
        let (ours, open) = homes(&["ann"], Some(&["ann", "bob"]));
        assert_eq!(ours.find_people(&license(), number()), (vec![person("ann")], Some(open)));
        let (strangers, _) = homes(&["bob"], Some(&["ann"]));
        assert_eq!(strangers.find_people(&license(), number()), (vec![person("bob")], None));
        assert_eq!(Homes::default().find_people(&license(), number()), (vec![], None));
    }

    #[test]
    fn a_number_that_is_tied_to_nobody_has_no_home() {
        let (mut homes, _) = homes(&[], Some(&["ann"]));
        assert_eq!(homes.settle(&license(), number(), Utc::now()), None);
        assert!(homes.changes.closed.is_empty(), "the conversation waits for its people to come back");
    }
}
