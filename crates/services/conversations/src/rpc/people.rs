//! `PeopleService`: people and whose number is whose (rules 9, 10, 12).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chassis::Fault;
use chrono::{DateTime, Utc};
use domain::{LicenseId, PersonId, PersonKind, PersonName, PhoneNumber};
use proto::conversations::people_service_server::PeopleService;
use proto::conversations::{
    DeletePersonRequest, DeletePersonResponse, GetPersonRequest, ListPeopleRequest, ListPeopleResponse, Person,
    PutPeopleRequest, PutPeopleResponse, PutPersonRequest, PutPersonResult,
};
use tonic::{Request, Response, Status};

use super::{Context, page_of, parse_license_id, parse_limit};
use crate::error;
use crate::model::{Details, Put, plan_people};
use crate::store::licenses::{self, Subject};
use crate::store::people::{self, Filter, Place};
use crate::store::{StoreError, conversations, links};

/// In one call.
const MAX_PEOPLE: usize = 1_000;
/// Numbers of one person.
pub(super) const MAX_PHONES: usize = 20;
/// Characters of a search.
const MAX_QUERY: usize = 100;

#[tonic::async_trait]
impl PeopleService for Context {
    async fn put_person(&self, request: Request<PutPersonRequest>) -> Result<Response<Person>, Status> {
        Ok(Response::new(put_person(self, request.into_inner()).await?))
    }

    async fn put_people(&self, request: Request<PutPeopleRequest>) -> Result<Response<PutPeopleResponse>, Status> {
        Ok(Response::new(put_people(self, request.into_inner()).await?))
    }

    async fn get_person(&self, request: Request<GetPersonRequest>) -> Result<Response<Person>, Status> {
        let request = request.into_inner();
        let license_id = parse_license_id(&request.license_id)?;
        Ok(Response::new(get_person(self, license_id, &request.person_id).await?))
    }

    async fn delete_person(
        &self,
        request: Request<DeletePersonRequest>,
    ) -> Result<Response<DeletePersonResponse>, Status> {
        delete_person(self, request.into_inner()).await?;
        Ok(Response::new(DeletePersonResponse {}))
    }

    async fn list_people(&self, request: Request<ListPeopleRequest>) -> Result<Response<ListPeopleResponse>, Status> {
        Ok(Response::new(list_people(self, request.into_inner()).await?))
    }
}

async fn put_person(context: &Context, request: PutPersonRequest) -> Result<Person, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let (person_id, details) = parse_person(context, &request.person.unwrap_or_default())?;
    let person = show(&person_id, &details);
    record(context, &license_id, vec![(person_id, details)]).await?;
    Ok(person)
}

async fn put_people(context: &Context, request: PutPeopleRequest) -> Result<PutPeopleResponse, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    if !(1..=MAX_PEOPLE).contains(&request.people.len()) {
        return Err(error::out_of_range("people", 1, MAX_PEOPLE as u64));
    }
    let parsed: Vec<_> = request.people.iter().map(|person| parse_person(context, person)).collect();
    let good: Vec<_> = parsed.iter().filter_map(|person| person.as_ref().ok().cloned()).collect();
    let mut recorded = record(context, &license_id, good).await?.into_iter();
    let results = parsed.into_iter().map(|person| match person {
        Ok(_) => {
            let put = recorded.next().unwrap_or(Put::Unchanged);
            PutPersonResult { result: put.as_str().to_owned(), ..Default::default() }
        }
        Err(fault) => PutPersonResult {
            result: "refused".to_owned(),
            code: Some(fault.code.into_owned()),
            detail: Some(fault.detail),
            field: fault.field,
        },
    });
    Ok(PutPeopleResponse { results: results.collect() })
}

/// Puts people in one transaction. Answers what became of each.
async fn record(context: &Context, license_id: &LicenseId, puts: Vec<(PersonId, Details)>) -> Result<Vec<Put>, Fault> {
    let now = context.clock.now();
    let mut tx = context.begin().await?;
    let locked = licenses::lock(&mut tx, [license_id.clone()]).await?;
    let before = people::load_details(&mut tx, license_id, puts.iter().map(|(person_id, _)| person_id)).await?;
    let plan = plan_people(&before, puts);
    if plan.changed.is_empty() {
        return Ok(plan.puts);
    }
    people::record_people(&mut tx, license_id, &plan.changed, now).await?;
    let numbers = plan.changed.iter().map(|(person_id, details)| (person_id, details.numbers.as_slice()));
    let moved: Vec<_> = plan.moved.iter().map(|(person_id, number)| (person_id, *number)).collect();
    people::record_ties(&mut tx, license_id, numbers, &moved, now).await?;
    show_changes(context, tx, locked, license_id, plan.changed.keys(), &moved, now).await?;
    Ok(plan.puts)
}

/// The end of every change of people: what clients see of it. Ties that came or went make conversations writable or
/// read-only (rule 9).
async fn show_changes(
    context: &Context,
    mut tx: sqlx::PgTransaction<'static>,
    mut locked: licenses::Locked,
    license_id: &LicenseId,
    changed: impl IntoIterator<Item = &PersonId>,
    moved: &[(&PersonId, PhoneNumber)],
    now: DateTime<Utc>,
) -> Result<(), Fault> {
    for person_id in changed {
        locked.record(license_id, Subject::PersonUpdated(person_id.clone()), now);
    }
    let turned = conversations::list_of_ties(&mut tx, license_id, moved).await?;
    let mut shown = links::follow_ties(&mut tx, license_id, &turned, now).await?;
    shown.extend(turned.into_iter().map(|id| (license_id.clone(), id)));
    for (license_id, conversation_id) in shown {
        locked.record(&license_id, Subject::ConversationUpdated(conversation_id), now);
    }
    let ranges = locked.write(&mut tx).await?;
    tx.commit().await.map_err(StoreError::from)?;
    context.pusher.push(ranges);
    Ok(())
}

async fn get_person(context: &Context, license_id: LicenseId, person_id: &str) -> Result<Person, Fault> {
    // An id that cannot be one names nobody.
    PersonId::parse(person_id).map_err(|_| error::person_not_found())?;
    let mut connection = context.connection().await?;
    let found = people::load(&mut connection, &[(license_id, person_id.to_owned())]).await?;
    found.into_values().next().ok_or_else(error::person_not_found)
}

async fn delete_person(context: &Context, request: DeletePersonRequest) -> Result<(), Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let person_id = parse_person_id(&request.person_id)?;
    let now = context.clock.now();
    let mut tx = context.begin().await?;
    let locked = licenses::lock(&mut tx, [license_id.clone()]).await?;
    let before = people::load_details(&mut tx, &license_id, [&person_id]).await?;
    let Some(known) = before.get(&person_id) else { return Ok(()) };
    people::remove_person(&mut tx, &license_id, &person_id).await?;
    let moved: Vec<_> = known.numbers.iter().map(|number| (&person_id, *number)).collect();
    people::record_ties(&mut tx, &license_id, [(&person_id, &[][..])], &moved, now).await?;
    show_changes(context, tx, locked, &license_id, [&person_id], &moved, now).await
}

async fn list_people(context: &Context, request: ListPeopleRequest) -> Result<ListPeopleResponse, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    let limit = parse_limit(request.limit, 200)?;
    if request.query.chars().count() > MAX_QUERY {
        return Err(Fault::invalid("query", "too_long", format!("Search for at most {MAX_QUERY} characters.")));
    }
    if request.query.contains('\0') {
        return Err(Fault::invalid("query", "invalid_query", "A search contains no NUL character."));
    }
    let filter = Filter {
        query: &request.query,
        kind: if request.kind.is_empty() { None } else { Some(parse_kind(&request.kind)?) },
        after: if request.cursor.is_empty() { None } else { Some(parse_cursor(&request.cursor)?) },
        limit: limit + 1,
    };
    let mut connection = context.connection().await?;
    let places = people::list_places(&mut connection, &license_id, &filter).await?;
    let (places, last) = page_of(places, limit);
    let wanted: Vec<_> = places.iter().map(|place| (license_id.clone(), place.person_id.clone())).collect();
    let mut people = people::load(&mut connection, &wanted).await?;
    Ok(ListPeopleResponse {
        people: places
            .into_iter()
            .filter_map(|place| people.remove(&(license_id.to_string(), place.person_id)))
            .collect(),
        next_cursor: last.map(|place| write_cursor(&place)).unwrap_or_default(),
    })
}

fn parse_person(context: &Context, person: &Person) -> Result<(PersonId, Details), Fault> {
    let person_id = parse_person_id(&person.person_id)?;
    let kind = parse_kind(&person.kind)?;
    let name = PersonName::parse(&person.name)
        .map_err(|invalid| Fault::invalid("name", invalid.code(), format!("{invalid}.")))?;
    let numbers = parse_phones(&person.phones, context.phone_numbers.allow_fictional)?;
    Ok((person_id, Details { kind, name, numbers }))
}

fn show(person_id: &PersonId, details: &Details) -> Person {
    Person {
        person_id: person_id.to_string(),
        kind: details.kind.to_string(),
        name: details.name.as_str().to_owned(),
        phones: details.numbers.iter().map(|number| number.as_str().to_owned()).collect(),
    }
}

fn parse_person_id(text: &str) -> Result<PersonId, Fault> {
    PersonId::parse(text).map_err(|invalid| error::invalid_id("person_id", &invalid))
}

fn parse_kind(text: &str) -> Result<PersonKind, Fault> {
    text.parse().map_err(|_| Fault::invalid("kind", "unknown_kind", "A person is a tenant, lead, vendor or owner."))
}

/// The numbers in their order; one that is named twice counts once. Fictional ones need the development switch.
fn parse_phones(phones: &[String], allow_fictional: bool) -> Result<Vec<PhoneNumber>, Fault> {
    if phones.len() > MAX_PHONES {
        return Err(error::too_many_phones(MAX_PHONES));
    }
    let mut numbers: Vec<PhoneNumber> = Vec::with_capacity(phones.len());
    for (index, phone) in phones.iter().enumerate() {
        let field = format!("phones[{index}]");
        let number = PhoneNumber::parse(phone)
            .map_err(|invalid| Fault::invalid(field.as_str(), invalid.code(), format!("{invalid}.")))?;
        if number.is_fictional() && !allow_fictional {
            return Err(Fault::invalid(
                field,
                "phone_fictional",
                "Numbers from 555-0100 to 555-0199 belong to nobody.",
            ));
        }
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

/// A place as an opaque word.
fn write_cursor(place: &Place) -> String {
    format!("{}.{}", place.person_id, URL_SAFE_NO_PAD.encode(&place.lower_name))
}

fn parse_cursor(cursor: &str) -> Result<Place, Fault> {
    let read = || {
        let (person_id, name) = cursor.split_once('.')?;
        PersonId::parse(person_id).ok()?;
        let lower_name = String::from_utf8(URL_SAFE_NO_PAD.decode(name).ok()?).ok()?;
        (!lower_name.contains('\0')).then(|| Place { lower_name, person_id: person_id.to_owned() })
    };
    read().ok_or_else(error::invalid_cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_as_its_place() {
        let place = Place { lower_name: "zoë ng".to_owned(), person_id: "t-1".to_owned() };
        assert_eq!(parse_cursor(&write_cursor(&place)).unwrap(), place);
        for broken in ["", "x", "x.0", "x.***", "x._w", "x.AA"] {
            assert!(parse_cursor(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn only_valid_north_american_numbers_are_accepted_and_the_refusal_names_the_field() {
        let phones = |phones: &[&str]| parse_phones(&phones.iter().map(ToString::to_string).collect::<Vec<_>>(), false);
        assert_eq!(phones(&["(415) 555-2671", "+14155552671"]).unwrap().len(), 1);
        let refused = phones(&["+14155552671", "+442071838750"]).unwrap_err();
        assert_eq!(refused.field.as_deref(), Some("phones[1]"));
        assert_eq!(phones(&["+14155550123"]).unwrap_err().code, "phone_fictional");
    }
}
