//! The page on which a person is the phones. It uses nothing but the control API.

use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Redirect};
use axum::routing::get;

use crate::state::Simulator;

/// Nothing from elsewhere, nothing inline. Texts come from outside, and so do pictures that phones sent.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
     img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) fn router() -> Router<Arc<Simulator>> {
    Router::new()
        .route("/", get(async || Redirect::temporary("/phones")))
        .route("/phones", get(async || file("text/html; charset=utf-8", include_str!("../web/phones.html"))))
        .route("/phones/phones.css", get(async || file("text/css; charset=utf-8", include_str!("../web/phones.css"))))
        .route(
            "/phones/phones.js",
            get(async || file("text/javascript; charset=utf-8", include_str!("../web/phones.js"))),
        )
        .route(
            "/phones/control.js",
            get(async || file("text/javascript; charset=utf-8", include_str!("../web/control.js"))),
        )
        .route(
            "/phones/words.js",
            get(async || file("text/javascript; charset=utf-8", include_str!("../web/words.js"))),
        )
}

fn file(content_type: &'static str, content: &'static str) -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, content)
}
