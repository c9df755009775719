//! What carriers can reach: one address per carrier and kind of webhook. Anything else is 404.

mod calls;
mod problem;
mod receive;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::routing::post;
use chassis::Fault;

use self::problem::problem;
use self::receive::Kind;
pub(crate) use self::receive::{Places, Receiver};
use crate::account::Account;

/// Paths behind `/webhooks/<carrier>/`, the same for all carriers. `WebhookAddresses` tells carriers of them.
const KINDS: [(&str, Kind); 4] =
    [("message", Kind::Message), ("status", Kind::Receipt), ("voice", Kind::Call), ("voice/after", Kind::CallReport)];

pub(crate) fn router(receiver: Receiver, accounts: impl IntoIterator<Item = Account>) -> Router {
    let receiver = Arc::new(receiver);
    let mut router = Router::new();
    for account in accounts.into_iter().map(Arc::new) {
        for (path, kind) in KINDS {
            let (receiver, account) = (receiver.clone(), account.clone());
            let path = format!("/webhooks/{}/{path}", account.webhooks.name());
            let receive = move |request: Request| receiver.receive(account, kind, request);
            router = router.route(&path, post(receive));
        }
    }
    router.fallback(async || problem(&Fault::not_found("not_found", "There is nothing here.")))
}
