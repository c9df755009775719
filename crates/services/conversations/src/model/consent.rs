//! Whether texts are wanted at a number (rule 13), and what changes that.
//!
//! People say it by keyword, managers note it for them, carriers tell by refusing. Events come late and doubled, so
//! each is compared with what is known. Nobody is answered: the carrier does that.

use chrono::{DateTime, Utc};
use domain::{
    ConsentReason, ConsentSource, Conversation, ConversationEventKind, Id, Keyword, LicenseId, ManagerId, PhoneNumber,
};

use super::Homes;

/// What carriers say of a number whose person does not want texts, and what a send into it is refused with.
pub(crate) const RECIPIENT_OPTED_OUT: &str = "recipient_opted_out";

/// What was said last about a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KnownConsent {
    pub opted_out: bool,
    pub source: ConsentSource,
    pub changed_at: DateTime<Utc>,
}

/// A manager's note, as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    pub manager_id: ManagerId,
    pub manager_name: String,
    pub reason: ConsentReason,
}

/// What is known of a number from now on.
#[derive(Debug, Clone)]
pub(crate) struct ConsentChange {
    pub license_id: LicenseId,
    pub number: PhoneNumber,
    pub known: KnownConsent,
    /// With a manager as the source.
    pub note: Option<Note>,
}

/// A line in a conversation that is no message.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub license_id: LicenseId,
    pub event_id: Id<domain::ConversationEvent>,
    pub conversation_id: Id<Conversation>,
    pub kind: ConversationEventKind,
    pub source: ConsentSource,
    pub note: Option<Note>,
    pub occurred_at: DateTime<Utc>,
}

impl ConsentChange {
    /// The line that shows the change in a conversation.
    pub(crate) fn line(&self, conversation_id: Id<Conversation>) -> Line {
        let kind = if self.known.opted_out { ConversationEventKind::OptedOut } else { ConversationEventKind::OptedIn };
        Line {
            license_id: self.license_id.clone(),
            event_id: Id::new(),
            conversation_id,
            kind,
            source: self.known.source,
            note: self.note.clone(),
            occurred_at: self.known.changed_at,
        }
    }
}

/// Does this change what is known? Saying again what holds already does not, nor does permission where nothing was ever
/// refused: "yes" is an answer more often than a keyword.
///
/// What is older than the last change has been overtaken by it. Only a STOP is not overtaken by a manager, who could not
/// know of it.
pub(crate) fn decide_consent(known: Option<KnownConsent>, said: KnownConsent) -> bool {
    let Some(known) = known else { return said.opted_out };
    if known.opted_out == said.opted_out {
        return false;
    }
    let unheard_stop =
        said.opted_out && said.source == ConsentSource::Keyword && known.source == ConsentSource::Manager;
    unheard_stop || said.changed_at >= known.changed_at
}

/// A keyword that came from a number.
#[derive(Debug, Clone)]
pub(crate) struct Spoken {
    pub license_id: LicenseId,
    pub number: PhoneNumber,
    pub keyword: Keyword,
    /// Where the text shows. `None`: nowhere, the number is tied to nobody. It counts all the same.
    pub conversation_id: Option<Id<Conversation>>,
    pub at: DateTime<Utc>,
}

/// What keywords change and where it shows.
#[derive(Debug, Default)]
pub(crate) struct KeywordPlan {
    pub changes: Vec<ConsentChange>,
    pub lines: Vec<Line>,
}

/// Takes new keywords in, in the order in which they were texted.
pub(crate) fn plan_keywords(homes: &mut Homes, spoken: Vec<Spoken>) -> KeywordPlan {
    let mut plan = KeywordPlan::default();
    for Spoken { license_id, number, keyword, conversation_id, at } in spoken {
        let opted_out = match keyword {
            Keyword::Stop => true,
            Keyword::Start => false,
            Keyword::Help => {
                plan.lines.extend(conversation_id.map(|conversation_id| Line {
                    license_id,
                    event_id: Id::new(),
                    conversation_id,
                    kind: ConversationEventKind::HelpRequested,
                    source: ConsentSource::Keyword,
                    note: None,
                    occurred_at: at,
                }));
                continue;
            }
        };
        let said = KnownConsent { opted_out, source: ConsentSource::Keyword, changed_at: at };
        if decide_consent(homes.find_consent(&license_id, number), said) {
            homes.set_consent(license_id.clone(), number, said);
            let change = ConsentChange { license_id, number, known: said, note: None };
            plan.lines.extend(conversation_id.map(|conversation_id| change.line(conversation_id)));
            plan.changes.push(change);
        }
    }
    plan
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn said(opted_out: bool, source: ConsentSource, minute: i64) -> KnownConsent {
        KnownConsent { opted_out, source, changed_at: DateTime::UNIX_EPOCH + TimeDelta::minutes(minute) }
    }

    #[test]
    fn only_what_is_new_and_not_overtaken_changes_what_is_known() {
        use ConsentSource::{Carrier, Keyword, Manager};
        for (known, news, changes) in [
            (None, said(true, Keyword, 5), true),
            (None, said(false, Keyword, 5), false),
            (None, said(false, Manager, 5), false),
            (Some(said(true, Keyword, 1)), said(true, Keyword, 5), false),
            (Some(said(true, Manager, 1)), said(true, Keyword, 5), false),
            (Some(said(true, Keyword, 1)), said(false, Keyword, 5), true),
            (Some(said(true, Manager, 1)), said(false, Keyword, 5), true),
            (Some(said(true, Carrier, 1)), said(false, Keyword, 5), true),
            (Some(said(true, Keyword, 1)), said(false, Manager, 5), true),
            (Some(said(false, Keyword, 1)), said(false, Keyword, 5), false),
            (Some(said(false, Keyword, 5)), said(true, Keyword, 5), true),
            (Some(said(false, Keyword, 5)), said(true, Keyword, 4), false),
            (Some(said(false, Keyword, 5)), said(true, Carrier, 4), false),
            (Some(said(true, Manager, 5)), said(false, Keyword, 4), false),
            (Some(said(false, Manager, 5)), said(true, Carrier, 4), false),
            (Some(said(false, Manager, 5)), said(true, Keyword, 4), true),
        ] {
            assert_eq!(decide_consent(known, news), changes, "{known:?} {news:?}");
        }
    }
}
