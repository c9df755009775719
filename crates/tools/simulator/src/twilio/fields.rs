//! Parameters of a request, from a query or a form. Names may repeat and keep their order.

use std::convert::Infallible;

use axum::extract::{FromRequest, Request};
use axum::http::Method;
use url::form_urlencoded;

use super::answer::Refusal;

/// Names and values as they came.
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The first value of this name; an empty one counts as missing.
    pub(super) fn find(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(given, value)| (given == name && !value.is_empty()).then_some(value))
    }

    pub(super) fn list(&self, name: &str) -> Vec<String> {
        self.iter()
            .filter(|(given, value)| *given == name && !value.is_empty())
            .map(|(_, value)| value.to_owned())
            .collect()
    }

    pub(super) fn get_number(&self, name: &str, default: usize) -> Result<usize, Refusal> {
        self.find(name).map_or(Ok(default), |value| {
            value.parse().map_err(|_| Refusal::bad_request(20001, format!("{name} must be a whole number")))
        })
    }

    pub(super) fn refuse_others(&self, played: &[&str]) -> Result<(), Refusal> {
        match self.iter().find(|(name, _)| !played.contains(name)) {
            Some((name, _)) => Err(Refusal::unplayed(name)),
            None => Ok(()),
        }
    }

    pub(super) fn to_query_with_page(&self, page: usize) -> String {
        let others = self.iter().filter(|(name, _)| *name != "Page");
        form_urlencoded::Serializer::new(String::new())
            .extend_pairs(others)
            .append_pair("Page", &page.to_string())
            .finish()
    }
}

/// A GET brings a query, a POST a form. The body was read and bounded before.
impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
        if request.method() == Method::POST {
            // A body that cannot be read any more has no fields; the client is gone then.
            let body = axum::body::to_bytes(request.into_body(), super::MAX_BODY).await.unwrap_or_default();
            return Ok(Self::parse(&body));
        }
        Ok(Self::parse(request.uri().query().unwrap_or_default().as_bytes()))
    }
}
