//! Reads what a request says, and refuses it by name: which field, which parameter, why.
//!
//! Only shapes are checked here. Rules (is this a phone number, may this be sent) belong to the services.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, RawPathParams, Request};
use bytes::Bytes;
use chassis::Fault;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use super::App;
use crate::error::Problem;

/// A JSON body. Unknown members are refused.
pub(crate) struct Json<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::unsupported_media_type());
        }
        let body = Bytes::from_request(request, app).await.map_err(|rejection| unreadable(&rejection))?;
        Ok(Self(parse_json(&body)?))
    }
}

/// A JSON body that may be left out, or be null. Unknown members are refused.
pub(crate) struct OptionalJson<T>(pub(crate) T);

impl<T: DeserializeOwned + Default> FromRequest<App> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let named_json = is_json(request.headers());
        let body = Bytes::from_request(request, app).await.map_err(|rejection| unreadable(&rejection))?;
        // Many clients name a type also when they send nothing.
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        if !named_json {
            return Err(Problem::unsupported_media_type());
        }
        Ok(Self(parse_json::<Option<T>>(&body)?.unwrap_or_default()))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let named = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = named.and_then(|value| value.split(';').next()).map(str::trim);
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}

fn unreadable(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        Problem::body_too_large()
    } else {
        Fault::malformed("body_unreadable", "The request's body could not be read to its end.").into()
    }
}

pub(super) fn parse_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        json_fault(&path, error.inner())
    })?;
    deserializer.end().map_err(|error| json_fault(".", &error))?;
    Ok(value)
}

fn json_fault(path: &str, error: &serde_json::Error) -> Fault {
    if !error.is_data() {
        return Fault::malformed("invalid_json", format!("The body is not JSON: {error}."));
    }
    let detail = error.to_string();
    let (code, name) = if let Some(name) = quoted_after(&detail, "unknown field ") {
        ("unknown_field", Some(name))
    } else if let Some(name) = quoted_after(&detail, "missing field ") {
        ("missing_field", Some(name))
    } else {
        ("invalid_value", None)
    };
    let fault = Fault::malformed(code, format!("{detail}."));
    let fault = Fault { kind: chassis::FaultKind::Invalid, ..fault };
    match join_path(path, name) {
        field if field.is_empty() => fault,
        field => fault.at(field),
    }
}

fn quoted_after<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    text.strip_prefix(words)?.strip_prefix('`')?.split('`').next()
}

/// `.` is how the path of the whole document is written.
fn join_path(path: &str, name: Option<&str>) -> String {
    let path = if path == "." { "" } else { path };
    match name {
        None => path.to_owned(),
        Some(name) if path.is_empty() => name.to_owned(),
        Some(name) if path == name || path.ends_with(&format!(".{name}")) => path.to_owned(),
        Some(name) => format!("{path}.{name}"),
    }
}

/// The one id in a path.
pub(crate) struct PathId<T>(pub(crate) T);

impl<T> FromRequestParts<App> for PathId<T>
where
    T: FromStr<Err: Display>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let parameters = RawPathParams::from_request_parts(parts, app).await.map_err(|_| Problem::unknown_path())?;
        let (name, value) = parameters.iter().next().ok_or_else(Problem::unknown_path)?;
        let id = value.parse().map_err(|error: T::Err| Fault::invalid(name, "invalid_id", sentence(&error)))?;
        Ok(Self(id))
    }
}

/// Query parameters. Those that the call does not know are refused, and so is one that is given twice.
pub(crate) struct Query<T>(pub(crate) T);

/// How a call reads its parameters.
pub(crate) trait FromQuery: Sized {
    fn from_query(parameters: &mut Parameters) -> Result<Self, Fault>;
}

/// A call without parameters.
impl FromQuery for () {
    fn from_query(_: &mut Parameters) -> Result<Self, Fault> {
        Ok(())
    }
}

/// Which page.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// 1 to 200, 50 when left out.
    #[param(value_type = Option<u32>)]
    pub(crate) limit: u32,
    /// `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
}

impl FromQuery for PageQuery {
    fn from_query(parameters: &mut Parameters) -> Result<Self, Fault> {
        Ok(Self { limit: parameters.page_size()?, cursor: parameters.find_text("cursor") })
    }
}

impl<T: FromQuery> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        Ok(Self(parse_query(parts.uri.query().unwrap_or_default())?))
    }
}

fn parse_query<T: FromQuery>(query: &str) -> Result<T, Fault> {
    let mut parameters = Parameters(BTreeMap::new());
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if parameters.0.insert(name.clone().into_owned(), value.into_owned()).is_some() {
            return Err(Fault::invalid(name, "repeated_parameter", "This parameter is given more than once."));
        }
    }
    let value = T::from_query(&mut parameters)?;
    match parameters.0.into_keys().next() {
        None => Ok(value),
        Some(name) => Err(Fault::invalid(name, "unknown_parameter", "This call does not know this parameter.")),
    }
}

/// What a query says, taken out one by one; what is left over was not expected.
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// An empty value counts as none.
    pub(crate) fn find_text(&mut self, name: &str) -> Option<String> {
        self.0.remove(name).filter(|value| !value.is_empty())
    }

    pub(crate) fn find<T>(&mut self, name: &'static str) -> Result<Option<T>, Fault>
    where
        T: FromStr<Err: Display>,
    {
        let parsed = self.find_text(name).map(|value| value.parse()).transpose();
        parsed.map_err(|error: T::Err| Fault::invalid(name, "invalid_value", sentence(&error)))
    }

    /// A page size, 1 to 200. 50 when nothing is said.
    pub(crate) fn page_size(&mut self) -> Result<u32, Fault> {
        let size = self.find("limit")?.unwrap_or(50);
        if (1..=200).contains(&size) {
            return Ok(size);
        }
        Err(Fault::invalid("limit", "invalid_value", "A page has 1 to 200 items."))
    }
}

/// Errors of types are phrases; what people read is a sentence.
fn sentence(error: &impl Display) -> String {
    let phrase = error.to_string();
    let mut letters = phrase.chars();
    let first: String = letters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", letters.as_str().trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        #[expect(dead_code, reason = "only its reading is tested")]
        inner: Vec<Inner>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "only its reading is tested")]
        name: String,
    }

    fn refusal(body: &str) -> (u16, String, Option<String>) {
        let fault = parse_json::<Outer>(body.as_bytes()).unwrap_err();
        (fault.http_status().as_u16(), fault.code.into_owned(), fault.field)
    }

    #[test]
    fn a_body_is_refused_with_the_field_and_the_reason() {
        let at = |field: &str| Some(field.to_owned());
        for (body, code, field) in [
            (r#"{"inner":[],"x":1}"#, "unknown_field", at("x")),
            (r#"{"inner":[{"name":"a"},{"name":"b","y":{}}]}"#, "unknown_field", at("inner[1].y")),
            (r#"{"inner":[{}]}"#, "missing_field", at("inner[0].name")),
            (r"{}", "missing_field", at("inner")),
            (r#"{"inner":[{"name":7}]}"#, "invalid_value", at("inner[0].name")),
            (r"[]", "invalid_value", None),
            (r"7", "invalid_value", None),
        ] {
            assert_eq!(refusal(body), (422, code.to_owned(), field), "{body}");
        }
        for body in ["", "{", r#"{"inner":[]} x"#] {
            assert_eq!(refusal(body), (400, "invalid_json".to_owned(), None), "{body}");
        }
    }

    struct Page(u32);

    impl FromQuery for Page {
        fn from_query(parameters: &mut Parameters) -> Result<Self, Fault> {
            parameters.page_size().map(Self)
        }
    }

    #[test]
    fn a_page_has_1_to_200_items_and_unknown_parameters_are_refused_by_name() {
        assert_eq!(parse_query::<Page>("").unwrap().0, 50);
        assert_eq!(parse_query::<Page>("limit=200").unwrap().0, 200);
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=-1", "limit"),
            ("limit=x", "limit"),
            ("limit=1&limit=2", "limit"),
            ("limit=1&Limit=2", "Limit"),
        ] {
            let fault = parse_query::<Page>(query).map(|page| page.0).unwrap_err();
            assert_eq!(fault.field.as_deref(), Some(field), "{query}");
            assert_eq!(fault.http_status(), 422, "{query}");
        }
    }
}
