//! People: what the `conversations` service knows of whom managers text.

use axum::extract::State;
use chassis::Fault;
use domain::{PersonId, PersonKind};
use http::StatusCode;
use proto::conversations::{self, DeletePersonRequest, GetPersonRequest, ListPeopleRequest, PutPersonRequest};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::App;
use super::extract::{FromQuery, Json, Parameters, PathId, Query};
use crate::auth::Manager;
use crate::error::Problem;
use crate::views::{Person, PersonPage};

/// A person as the company knows them.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"kind": "tenant", "name": "Tina Tenant", "phones": ["(212) 555-0123"]}))]
pub(crate) struct PersonInput {
    /// `tenant`, `lead`, `vendor` or `owner`.
    #[schema(value_type = String)]
    kind: PersonKind,
    name: String,
    /// The preferred one first. May be empty.
    phones: Vec<String>,
}

/// Which people.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PeopleQuery {
    /// Part of a name.
    query: Option<String>,
    /// `tenant`, `lead`, `vendor` or `owner`.
    #[param(value_type = Option<String>)]
    kind: Option<PersonKind>,
    /// 1 to 200, 50 when left out.
    #[param(value_type = Option<u32>)]
    limit: u32,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

impl FromQuery for PeopleQuery {
    fn from_query(parameters: &mut Parameters) -> Result<Self, Fault> {
        Ok(Self {
            query: parameters.find_text("query"),
            kind: parameters.find("kind")?,
            limit: parameters.page_size()?,
            cursor: parameters.find_text("cursor"),
        })
    }
}

/// Create or replace a person and their phones. The caller chooses the id.
#[utoipa::path(
    put, path = "/v1/people/{person_id}", tag = "people", request_body = PersonInput,
    params(("person_id" = String, Path, description = "1 to 50 characters of A-Z, a-z, 0-9, _ and -.")),
    responses(
        (status = 200, description = "The person as it is now.", body = Person),
        (status = 422, description = "`phone_…`, `name_…` and others: `field` says which."),
    ),
)]
pub(crate) async fn put_person(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<PersonId>,
    _: Query<()>,
    Json(input): Json<PersonInput>,
) -> Result<axum::Json<Person>, Problem> {
    let PersonInput { kind, name, phones } = input;
    let person = conversations::Person { person_id: id.to_string(), kind: kind.to_string(), name, phones };
    let request = PutPersonRequest { license_id: actor.license.to_string(), person: Some(person) };
    let mut people = app.upstreams.people.clone();
    let write = async move { people.put_person(request).await.map_err(|status| Problem::from_upstream(&status)) };
    let person = app.finish(write).await?.into_inner();
    Ok(axum::Json(person.into()))
}

/// One person.
#[utoipa::path(
    get, path = "/v1/people/{person_id}", tag = "people",
    params(("person_id" = String, Path)),
    responses(
        (status = 200, description = "The person as it is now.", body = Person),
        (status = 404, description = "`person_not_found`."),
    ),
)]
pub(crate) async fn get_person(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<PersonId>,
    _: Query<()>,
) -> Result<axum::Json<Person>, Problem> {
    let request = GetPersonRequest { license_id: actor.license.to_string(), person_id: id.to_string() };
    let answer = app.upstreams.people.clone().get_person(request).await;
    let person = answer.map_err(|status| Problem::from_upstream(&status))?.into_inner();
    Ok(axum::Json(person.into()))
}

/// Delete a person. Their conversations stay readable. Deleting again does nothing.
#[utoipa::path(
    delete, path = "/v1/people/{person_id}", tag = "people",
    params(("person_id" = String, Path)),
    responses((status = 204, description = "The person is not there any more.")),
)]
pub(crate) async fn delete_person(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<PersonId>,
    _: Query<()>,
) -> Result<StatusCode, Problem> {
    let request = DeletePersonRequest { license_id: actor.license.to_string(), person_id: id.to_string() };
    let mut people = app.upstreams.people.clone();
    let write = async move { people.delete_person(request).await.map_err(|status| Problem::from_upstream(&status)) };
    app.finish(write).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The recipient picker: by name, then id.
#[utoipa::path(
    get, path = "/v1/people", tag = "people", params(PeopleQuery),
    responses(
        (status = 200, description = "One page.", body = PersonPage),
        (status = 422, description = "`invalid_value`, `unknown_parameter`: `field` says which."),
    ),
)]
pub(crate) async fn list_people(
    State(app): State<App>,
    Manager(actor): Manager,
    Query(query): Query<PeopleQuery>,
) -> Result<axum::Json<PersonPage>, Problem> {
    let request = ListPeopleRequest {
        license_id: actor.license.to_string(),
        query: query.query.unwrap_or_default(),
        kind: query.kind.map(|kind| kind.to_string()).unwrap_or_default(),
        limit: query.limit,
        cursor: query.cursor.unwrap_or_default(),
    };
    let answer = app.upstreams.people.clone().list_people(request).await;
    let page = answer.map_err(|status| Problem::from_upstream(&status))?.into_inner();
    Ok(axum::Json(page.into()))
}
