//! A file of a message: Twilio's own address leads to where the file is.

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
    let key = simulator.world().files.find_key(&message_sid, &sid).map(str::to_owned);
    match key {
        Some(key) if fault.is_none() => {
            let location = media::address(&simulator, &key);
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response()
        }
        _ => Refusal::not_found(&format!("/2010-04-01/Accounts/{account}/Messages/{message_sid}/Media/{sid}"))
            .into_response(),
    }
}

/// Twilio's address of a file.
pub(crate) fn address(simulator: &Simulator, message_sid: &str, sid: &str) -> String {
    let account = &simulator.config.account_sid;
    format!("{}/2010-04-01/Accounts/{account}/Messages/{message_sid}/Media/{sid}", simulator.base_url)
}
