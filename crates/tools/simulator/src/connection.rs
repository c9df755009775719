//! Answers that are no answers: a connection that closes without a byte, at once or after a while.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;

use crate::state::Simulator;

/// Marks a response that never goes out, for those who note down answers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NoAnswer;

/// A response whose body breaks before its head is written, upon which the server closes the connection.
pub(crate) fn drop_connection() -> Response {
    let broken = futures_util::stream::once(std::future::ready(Err::<Bytes, _>(io::Error::from(
        io::ErrorKind::ConnectionReset,
    ))));
    let mut response = Response::new(Body::from_stream(broken));
    response.extensions_mut().insert(NoAnswer);
    response
}

/// Cuts off every request that is still under way at the shutdown, so that nothing held open delays it.
pub(crate) async fn end_on_shutdown(State(simulator): State<Arc<Simulator>>, request: Request, next: Next) -> Response {
    tokio::select! {
        response = next.run(request) => response,
        () = simulator.shutdown.cancelled() => drop_connection(),
    }
}
