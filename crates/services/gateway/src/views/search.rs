//! What was found by its words.

use proto::conversations;
use serde::Serialize;
use utoipa::ToSchema;

use super::conversations::ConversationPerson;
use super::{BrokenAnswer, Message, Person, examples, text};

/// A message that was found.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::found()))]
pub(crate) struct Found {
    message: Message,
    /// Of its conversation.
    people: Vec<ConversationPerson>,
}

/// Messages and people that were found.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({"people": [examples::person()], "items": [examples::found()], "next_cursor": null}))]
pub(crate) struct SearchPage {
    /// By name, on the first page only, at most 20.
    people: Vec<Person>,
    /// Messages: the best of the newest matches first.
    items: Vec<Found>,
    /// Null: this was the last page.
    next_cursor: Option<String>,
}

impl TryFrom<conversations::FoundMessage> for Found {
    type Error = BrokenAnswer;

    fn try_from(found: conversations::FoundMessage) -> Result<Self, BrokenAnswer> {
        Ok(Self {
            message: found.message.ok_or(BrokenAnswer("message"))?.try_into()?,
            people: found.people.into_iter().map(ConversationPerson::from).collect(),
        })
    }
}

impl TryFrom<conversations::SearchResponse> for SearchPage {
    type Error = BrokenAnswer;

    fn try_from(page: conversations::SearchResponse) -> Result<Self, BrokenAnswer> {
        Ok(Self {
            people: page.people.into_iter().map(Person::from).collect(),
            items: page.messages.into_iter().map(Found::try_from).collect::<Result<_, _>>()?,
            next_cursor: text(page.next_cursor),
        })
    }
}
