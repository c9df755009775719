//! Parameters of a request, from a query or a form. Names may repeat and keep their order.

use std::convert::Infallible;

use axum::extract::{FromRequest, Request};
use axum::http::Method;
use url::{Url, form_urlencoded};

use crate::witness::MAX_BODY;

/// Names and values as they came.
pub(crate) struct Fields(Vec<(String, String)>);

/// Why a parameter is not taken. Each carrier says it in its own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BadField {
    /// The carrier may know it, the simulator does not play it.
    Unplayed(String),
    NotANumber(&'static str),
}

impl Fields {
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The first value of this name; an empty one counts as missing.
    pub(crate) fn find(&self, name: &str) -> Option<&str> {
        self.iter().find_map(|(given, value)| (given == name && !value.is_empty()).then_some(value))
    }

    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        self.iter()
            .filter(|(given, value)| *given == name && !value.is_empty())
            .map(|(_, value)| value.to_owned())
            .collect()
    }

    pub(crate) fn get_number(&self, name: &'static str, default: usize) -> Result<usize, BadField> {
        self.find(name).map_or(Ok(default), |value| value.parse().map_err(|_| BadField::NotANumber(name)))
    }

    pub(crate) fn refuse_others(&self, played: &[&str]) -> Result<(), BadField> {
        match self.iter().find(|(name, _)| !played.contains(name)) {
            Some((name, _)) => Err(BadField::Unplayed(name.to_owned())),
            None => Ok(()),
        }
    }

    /// The same query with other values for some names; a name without a value is left out.
    pub(crate) fn to_query_with(&self, changed: &[(&str, Option<&str>)]) -> String {
        let others = self.iter().filter(|(name, _)| changed.iter().all(|(given, _)| given != name));
        let added = changed.iter().filter_map(|(name, value)| Some((*name, (*value)?)));
        form_urlencoded::Serializer::new(String::new()).extend_pairs(others).extend_pairs(added).finish()
    }
}

/// A GET brings a query, a POST a form. The body was read and bounded before.
impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Self::Rejection> {
        if request.method() == Method::POST {
            // A body that cannot be read any more has no fields; the client is gone then.
            let body = axum::body::to_bytes(request.into_body(), MAX_BODY).await.unwrap_or_default();
            return Ok(Self::parse(&body));
        }
        Ok(Self::parse(request.uri().query().unwrap_or_default().as_bytes()))
    }
}

/// An absolute http(s) URL with a host.
pub(crate) fn is_web_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}
