//! A file of a message: Twilio's own address leads to where the file is, here or elsewhere.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::answer::Refusal;
use super::{CARRIER, suffer};
use crate::faults::{Fault, Point, Subject};
use crate::media;
use crate::state::Simulator;

pub(super) async fn fetch(
    State(simulator): State<Arc<Simulator>>,
    Path((account, message_sid, sid)): Path<(String, String, String)>,
) -> Response {
    let fault = simulator.take_fault(CARRIER, Point::Media, Subject::default());
    if let Some(trouble) = fault.as_ref().and_then(Fault::before_accept) {
        return suffer(trouble).await;
    }
    match find_location(&simulator, &message_sid, &sid) {
        Some(location) if fault.is_none() => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response()
        }
        _ => Refusal::not_found(&format!("/2010-04-01/Accounts/{account}/Messages/{message_sid}/Media/{sid}"))
            .into_response(),
    }
}

fn find_location(simulator: &Simulator, message_sid: &str, sid: &str) -> Option<String> {
    let world = simulator.world();
    if let Some(key) = world.files.find_key(message_sid, sid) {
        return Some(media::address(simulator, key));
    }
    let message = world.history.find(message_sid)?;
    let mut elsewhere = message.media_urls.iter().enumerate().filter(|(_, url)| find_own_sid(url).is_none());
    elsewhere.find(|(index, url)| sid_of(url, *index) == sid).map(|(_, url)| url.clone())
}

/// The id of a message's file: of one that is elsewhere, its place.
pub(super) fn sid_of(url: &str, index: usize) -> String {
    find_own_sid(url).map_or_else(|| format!("ME{index:032x}"), str::to_owned)
}

fn find_own_sid(url: &str) -> Option<&str> {
    url.rsplit_once("/Media/").map(|(_, sid)| sid).filter(|sid| sid.len() == 34 && sid.starts_with("ME"))
}

/// Twilio's address of a file.
pub(crate) fn address(simulator: &Simulator, message_sid: &str, sid: &str) -> String {
    let account = &simulator.config.account_sid;
    format!("{}/2010-04-01/Accounts/{account}/Messages/{message_sid}/Media/{sid}", simulator.base_url)
}
