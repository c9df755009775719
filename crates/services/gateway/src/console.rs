//! The console of `web/`: a client of the public API in the browser. Off unless the settings turn it on.
//!
//! It has no way in of its own: a page that embeds it gives it a token, or, in development, whoever opens it chooses from
//! `console.sign_in_file`. Only what lies in the folder is served, with a policy that lets the page load nothing from
//! elsewhere and run no script but these.

use std::fs;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::extract::{Path, State};
use axum::middleware::map_response_with_state;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use rust_embed::{EmbeddedFile, RustEmbed};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::config::ConsoleSettings;
use crate::error::Problem;

/// The page's files. Tests and documents stay outside.
#[derive(RustEmbed)]
#[folder = "web/"]
#[include = "*.html"]
#[include = "*.js"]
#[include = "*.css"]
#[include = "*.svg"]
#[exclude = "*.test.js"]
pub(crate) struct Files;

/// What the page may do; who may embed it is added from the settings.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self' blob: data:; media-src blob:; font-src 'self'; base-uri 'none'; form-action 'none'";

/// `config.json`: what the page asks for first.
#[derive(Serialize)]
struct Configuration {
    sign_in: Vec<SignIn>,
    phones_url: Option<String>,
    embedding_origins: Vec<String>,
}

/// Somebody to choose at sign-in.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SignIn {
    label: String,
    name: String,
    role: String,
    license_id: String,
    token: String,
}

/// The console's routes; none while it is off.
///
/// # Errors
/// When the sign-in file cannot be read, or an address of the settings is none.
pub(crate) fn pages(settings: &ConsoleSettings) -> anyhow::Result<Router> {
    if !settings.enabled {
        return Ok(Router::new());
    }
    let configuration = serde_json::to_vec(&configure(settings)?)?;
    let policy = policy(&settings.embedding_origins)?;
    Ok(Router::new()
        .route("/console", get(async || Redirect::temporary("/console/")))
        .route("/console/", get(async |headers: HeaderMap| answer_file("index.html", &headers)))
        .route("/console/{*path}", get(show_file))
        .route("/console/config.json", get(show_configuration).with_state(Bytes::from(configuration)))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(map_response_with_state(policy, guard)))
}

fn configure(settings: &ConsoleSettings) -> anyhow::Result<Configuration> {
    let phones_url = match settings.phones_url.as_str() {
        "" => None,
        url => Some(web_address(url).with_context(|| format!("`{url}` of `console.phones_url` is no address"))?.into()),
    };
    let sign_in = match settings.sign_in_file.as_str() {
        "" => Vec::new(),
        file => {
            tracing::warn!(file, "the console gives the tokens of `console.sign_in_file` to everybody who opens it");
            read_sign_in(file).with_context(|| format!("`{file}` of `console.sign_in_file` cannot be read"))?
        }
    };
    Ok(Configuration { sign_in, phones_url, embedding_origins: settings.embedding_origins.clone() })
}

fn read_sign_in(file: &str) -> anyhow::Result<Vec<SignIn>> {
    Ok(serde_json::from_slice(&fs::read(file)?)?)
}

/// An address that a browser opens as a page: never `javascript:`.
fn web_address(text: &str) -> anyhow::Result<Url> {
    let url = Url::parse(text)?;
    ensure!(matches!(url.scheme(), "http" | "https"), "it begins with neither http nor https");
    Ok(url)
}

fn policy(embedding_origins: &[String]) -> anyhow::Result<HeaderValue> {
    for origin in embedding_origins {
        ensure!(is_origin(origin), "`{origin}` of `console.embedding_origins` is no origin");
    }
    let ancestors = if embedding_origins.is_empty() { "'none'".to_owned() } else { embedding_origins.join(" ") };
    Ok(HeaderValue::try_from(format!("{POLICY}; frame-ancestors {ancestors}"))?)
}

/// Only `https://name:port` and the like: `frame-ancestors` would take far more, and so would an address.
fn is_origin(text: &str) -> bool {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:/[]".contains(&byte));
    is_plain && web_address(text).is_ok_and(|url| url.origin().ascii_serialization() == text)
}

async fn show_file(Path(path): Path<String>, headers: HeaderMap) -> Response {
    answer_file(&path, &headers)
}

fn answer_file(path: &str, headers: &HeaderMap) -> Response {
    let Some((file, content_type)) = Files::get(path).zip(content_type(path)) else {
        return Problem::unknown_path().into_response();
    };
    let tag = tag(&file);
    let caching = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, HeaderValue::from_static("no-cache"))];
    if is_known(headers, &tag) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    let content_type = [(header::CONTENT_TYPE, HeaderValue::from_static(content_type))];
    (caching, content_type, file.data.into_owned()).into_response()
}

/// Of the kinds of files that [`Files`] takes.
pub(crate) fn content_type(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    match extension {
        "html" => Some("text/html; charset=utf-8"),
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

/// Another content has another tag.
fn tag(file: &EmbeddedFile) -> HeaderValue {
    let hash = u128::from_be_bytes(std::array::from_fn(|index| file.metadata.sha256_hash()[index]));
    // Digits in quotes are always a header's value.
    HeaderValue::try_from(format!("\"{hash:032x}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The browser has this content already.
fn is_known(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let named = headers.get_all(header::IF_NONE_MATCH).into_iter().filter_map(|value| value.to_str().ok());
    // A proxy that compresses makes the tag a weak one.
    named.flat_map(|value| value.split(',')).any(|each| each.trim().trim_start_matches("W/") == tag)
}

async fn show_configuration(State(configuration): State<Bytes>) -> Response {
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")];
    (headers, configuration).into_response()
}

/// On everything, also on what is refused.
async fn guard(State(policy): State<HeaderValue>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // Other pages may neither read these files nor embed them as their own.
    let resource_policy = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(resource_policy, HeaderValue::from_static("same-origin"));
    response
}
