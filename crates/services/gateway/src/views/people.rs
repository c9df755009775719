//! People, for the recipient picker.

use proto::conversations;
use serde::Serialize;
use utoipa::ToSchema;

use super::{examples, text};

/// Somebody a manager texts.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::person()))]
#[expect(clippy::struct_field_names, reason = "the names are those of the API")]
pub(crate) struct Person {
    person_id: String,
    /// `tenant`, `lead`, `vendor` or `owner`.
    kind: String,
    name: String,
    /// E.164, the preferred one first.
    phones: Vec<String>,
}

/// People by name, then id.
#[derive(Serialize, ToSchema)]
#[schema(example = json!(examples::page(&examples::person())))]
pub(crate) struct PersonPage {
    items: Vec<Person>,
    /// Null: this was the last page.
    next_cursor: Option<String>,
}

impl From<conversations::Person> for Person {
    fn from(person: conversations::Person) -> Self {
        let conversations::Person { person_id, kind, name, phones } = person;
        Self { person_id, kind, name, phones }
    }
}

impl From<conversations::ListPeopleResponse> for PersonPage {
    fn from(page: conversations::ListPeopleResponse) -> Self {
        let items = page.people.into_iter().map(Person::from).collect();
        Self { items, next_cursor: text(page.next_cursor) }
    }
}
