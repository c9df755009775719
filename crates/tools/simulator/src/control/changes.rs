//! Says that something changed, so that who looks on asks again.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::Event;
use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::watch;

use super::Shared;

/// However much changes, it is said ten times a second at most.
const REST: Duration = Duration::from_millis(100);
/// It is said this often when nothing seems to change: a number that was bought is no message.
const AT_LEAST: Duration = Duration::from_secs(5);

/// Server-sent events: one `changed` at the start and one after each change of what phones and messages show.
pub(super) async fn follow(State(simulator): Shared) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = simulator.world().watch();
    let first = stream::once(async { Ok(say()) });
    let later = stream::unfold(changes, wait);
    Sse::new(first.chain(later).take_until(Arc::clone(&simulator).shutdown.clone().cancelled_owned()))
}

async fn wait(mut changes: watch::Receiver<()>) -> Option<(Result<Event, Infallible>, watch::Receiver<()>)> {
    tokio::time::sleep(REST).await;
    if let Ok(Err(_)) = tokio::time::timeout(AT_LEAST, changes.changed()).await {
        return None;
    }
    Some((Ok(say()), changes))
}

fn say() -> Event {
    Event::default().event("changed").data("{}")
}
