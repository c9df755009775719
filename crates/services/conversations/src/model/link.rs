//! Where the people of a conversation are reached now (rule 9).
//!
//! A conversation that is read-only because its number is not theirs any more leads to a newer one: an open conversation
//! that one of the same people has on a number that is his now. It never leads to a stranger's.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::{Conversation, Id, LicenseId};

/// An open conversation in which one of the people is reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reached {
    /// On somebody's preferred number. The first in the order of what is better.
    pub preferred: bool,
    pub last_activity_at: DateTime<Utc>,
    pub conversation_id: Id<Conversation>,
}

/// A conversation of people about whom something changed.
#[derive(Debug, Clone)]
pub(crate) struct Linkable {
    pub license_id: LicenseId,
    pub conversation_id: Id<Conversation>,
    /// It is open, and one of its people is tied to its number.
    pub tied: bool,
    /// To which it leads up to now.
    pub newer: Option<Id<Conversation>>,
    pub reached: Vec<Reached>,
}

/// From now on a conversation leads to another one, or to none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LinkChange {
    pub license_id: LicenseId,
    pub older: Id<Conversation>,
    pub before: Option<Id<Conversation>>,
    pub newer: Option<Id<Conversation>>,
}

/// To which conversation this one leads. What has just opened is the newest. Else a link that leads to its people stays,
/// and so does one that leads nowhere, as long as there is nothing better.
fn decide_newer(known: &Linkable, opened: &BTreeSet<Id<Conversation>>) -> Option<Id<Conversation>> {
    if known.tied {
        return None;
    }
    let best = |among: &dyn Fn(&Reached) -> bool| {
        known.reached.iter().filter(|each| among(each)).max().map(|each| each.conversation_id)
    };
    best(&|each| opened.contains(&each.conversation_id))
        .or_else(|| best(&|each| known.newer == Some(each.conversation_id)))
        .or_else(|| best(&|_| true))
        .or(known.newer)
}

/// What has to be written so that all of them lead where they should.
pub(crate) fn plan_links(known: &[Linkable], opened: &BTreeSet<Id<Conversation>>) -> Vec<LinkChange> {
    let changes = known.iter().map(|each| LinkChange {
        license_id: each.license_id.clone(),
        older: each.conversation_id,
        before: each.newer,
        newer: decide_newer(each, opened),
    });
    changes.filter(|change| change.before != change.newer).collect()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn reached(conversation_id: Id<Conversation>, preferred: bool, minute: i64) -> Reached {
        let last_activity_at = DateTime::UNIX_EPOCH + TimeDelta::minutes(minute);
        Reached { preferred, last_activity_at, conversation_id }
    }

    fn newer(
        tied: bool,
        before: Option<Id<Conversation>>,
        reached: Vec<Reached>,
        opened: &[Id<Conversation>],
    ) -> Option<Id<Conversation>> {
        let license_id = LicenseId::parse("acme").unwrap();
        let known = Linkable { license_id, conversation_id: Id::new(), tied, newer: before, reached };
        decide_newer(&known, &opened.iter().copied().collect())
    }

    #[test]
    fn a_conversation_leads_to_where_its_people_are_reached_on_the_preferred_number_first_else_the_latest() {
        let [a, b, c] = [Id::new(), Id::new(), Id::new()];
        assert_eq!(newer(false, None, vec![], &[]), None);
        assert_eq!(
            newer(false, None, vec![reached(a, false, 1), reached(b, true, 0), reached(c, false, 2)], &[]),
            Some(b)
        );
        assert_eq!(newer(false, None, vec![reached(a, false, 1), reached(c, false, 2)], &[]), Some(c));
    }

    #[test]
    fn a_conversation_that_is_writable_leads_nowhere() {
        let [a, b] = [Id::new(), Id::new()];
        assert_eq!(newer(true, Some(a), vec![reached(b, true, 1)], &[b]), None);
    }

    #[test]
    fn what_has_just_opened_takes_over_and_else_a_link_stays_as_long_as_it_leads_to_its_people() {
        let [a, b] = [Id::new(), Id::new()];
        let both = || vec![reached(a, false, 1), reached(b, true, 2)];
        assert_eq!(newer(false, Some(a), both(), &[]), Some(a));
        assert_eq!(newer(false, Some(a), both(), &[b]), Some(b));
        assert_eq!(newer(false, Some(a), vec![reached(b, false, 1)], &[]), Some(b), "nobody is reached there any more");
        assert_eq!(newer(false, Some(a), vec![], &[b]), Some(a), "the people have nothing in common");
    }

    #[test]
    fn what_stays_is_not_written() {
        let license_id = LicenseId::parse("acme").unwrap();
        let [old, a, b] = [Id::new(), Id::new(), Id::new()];
        let known = Linkable {
            license_id: license_id.clone(),
            conversation_id: old,
            tied: false,
            newer: Some(a),
            reached: vec![reached(b, true, 1)],
        };
        let change = LinkChange { license_id, older: old, before: Some(a), newer: Some(b) };
        assert_eq!(plan_links(std::slice::from_ref(&known), &BTreeSet::new()), [change]);
        let settled = Linkable { newer: Some(b), ..known };
        assert_eq!(plan_links(&[settled], &BTreeSet::new()), []);
    }
}
