//! What people sent beside their texts, as bytes.
//!
//! Strangers made these files: a browser shows nothing but pictures, sound and video, guesses no type and runs nothing.
//! They are passed on piece by piece. What fails after the beginning cuts the connection: a client never takes half of
//! a file for all of it.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use domain::{Id, Media as MediaOf};
use futures_util::{Stream, StreamExt as _, stream};
use http::{HeaderValue, header};
use proto::conversations::media_chunk::Part;
use proto::conversations::{GetMediaRequest, MediaChunk};
use tokio::sync::mpsc;
use tonic::Status;

use super::App;
use super::extract::{PathId, Query};
use crate::auth::Manager;
use crate::error::Problem;
use crate::views::BrokenAnswer;

/// Pieces on their way to one client.
const WAITING_PIECES: usize = 2;
/// A client that takes no piece for so long is gone, and so is a service that gives none.
const SILENCE: Duration = Duration::from_secs(30);
/// A fetch from a carrier takes some seconds.
const COME_AGAIN_S: u64 = 3;

/// A file that came with a message. Its address is `url` in the message's `media`, once it is `stored`.
///
/// It needs the token like every call: pages load it by `fetch`. Pictures, sound and video are shown inline, everything
/// else is a download.
#[utoipa::path(
    get, path = "/v1/media/{media_id}", tag = "messages",
    params(("media_id" = String, Path)),
    responses(
        (status = 200, description = "The file, of the type that the carrier named.", content_type = "image/*",
            body = Vec<u8>,
            headers(
                ("Content-Length" = u64, description = "Bytes."),
                ("Content-Disposition" = String, description = "`inline` or `attachment`."),
            )),
        (status = 404, description = "`media_not_found`: there is none, or it could not be fetched."),
        (status = 409, description = "`media_pending`: it is being fetched from the carrier; come again after \
            `Retry-After`.",
            headers(("Retry-After" = u64, description = "Seconds."))),
        (status = 503, description = "`media_unavailable`: it is stored and cannot be read now; `service_unavailable`."),
    ),
)]
pub(crate) async fn get_media(
    State(app): State<App>,
    Manager(actor): Manager,
    PathId(id): PathId<Id<MediaOf>>,
    _: Query<()>,
) -> Result<Response, Problem> {
    let request = GetMediaRequest { license_id: actor.license.to_string(), media_id: id.to_string() };
    let refuse = |status| Problem::from_upstream(&status).come_again("media_pending", COME_AGAIN_S);
    let mut chunks = app.upstreams.media.clone().get_media(request).await.map_err(refuse)?.into_inner();
    let Some(MediaChunk { part: Some(Part::Head(head)) }) = chunks.message().await.map_err(refuse)? else {
        return Err(BrokenAnswer("head").into());
    };
    let (pieces, waiting) = mpsc::channel(WAITING_PIECES);
    // In a task of its own, so that a client that stalls gives the connection to the service back. It ends with the
    // client; nobody waits for it.
    drop(app.lifecycle.spawn_tracked(pass_on(chunks, head.size_bytes, pieces, SILENCE)));
    let mut response = Response::new(Body::from_stream(body(waiting, head.size_bytes)));
    let (content_type, disposition) = decide_presentation(&head.content_type);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CONTENT_LENGTH, head.size_bytes.into());
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
    Ok(response)
}

/// The type, and whether a browser may show it. An SVG is a document that can hold scripts, not a picture.
fn decide_presentation(content_type: &str) -> (HeaderValue, &'static str) {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let shown = ["image/", "audio/", "video/"].iter().any(|kind| essence.starts_with(kind));
    match HeaderValue::from_str(content_type) {
        Ok(value) if !essence.is_empty() => {
            (value, if shown && !essence.starts_with("image/svg") { "inline" } else { "attachment" })
        }
        _ => (HeaderValue::from_static("application/octet-stream"), "attachment"),
    }
}

/// A file ends before its end.
#[derive(Debug, thiserror::Error)]
#[error("a download is cut")]
struct Cut;

/// Until all of `left` bytes are passed on, or one of the two sides is gone, or silent for longer than `patience`.
async fn pass_on(
    mut chunks: impl Stream<Item = Result<MediaChunk, Status>> + Unpin,
    mut left: u64,
    pieces: mpsc::Sender<Bytes>,
    patience: Duration,
) {
    while left > 0 {
        let next = tokio::select! {
            () = pieces.closed() => return,
            next = tokio::time::timeout(patience, chunks.next()) => next,
        };
        let piece = match next {
            Ok(Some(Ok(MediaChunk { part: Some(Part::Bytes(bytes)) }))) => Bytes::from(bytes),
            Ok(Some(Err(status))) => return tracing::warn!(grpc = ?status.code(), "a download is cut: no more comes"),
            Err(_) => return tracing::warn!("a download is cut: no more comes in time"),
            Ok(_) => return tracing::error!("a download is cut: it ends early, or is no bytes"),
        };
        left = match left.checked_sub(piece.len() as u64) {
            Some(left) => left,
            None => return tracing::error!("a download is cut: it is longer than was said"),
        };
        if pieces.send_timeout(piece, patience).await.is_err() {
            return;
        }
    }
}

fn body(waiting: mpsc::Receiver<Bytes>, size: u64) -> impl Stream<Item = Result<Bytes, Cut>> + Send + 'static {
    stream::try_unfold((waiting, size), async |(mut waiting, left)| match waiting.recv().await {
        Some(piece) => {
            let left = left.saturating_sub(piece.len() as u64);
            Ok(Some((piece, (waiting, left))))
        }
        None if left == 0 => Ok(None),
        None => Err(Cut),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(20);

    fn piece() -> MediaChunk {
        MediaChunk { part: Some(Part::Bytes(vec![7; 10])) }
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_and_a_service_that_gives_nothing_end_the_download() {
        // Endless pieces, and nobody takes them.
        let (pieces, waiting) = mpsc::channel(WAITING_PIECES);
        pass_on(Box::pin(stream::repeat_with(|| Ok(piece()))), 1_000, pieces, SOON).await;
        let taken: Vec<_> = body(waiting, 1_000).collect().await;
        assert_eq!(taken.len(), WAITING_PIECES + 1);
        assert!(taken.last().is_some_and(Result::is_err), "what is cut must not look whole");

        // One piece, and then silence.
        let (pieces, waiting) = mpsc::channel(WAITING_PIECES);
        let silent = stream::iter([Ok(piece())]).chain(stream::pending());
        pass_on(Box::pin(silent), 1_000, pieces, SOON).await;
        let taken: Vec<_> = body(waiting, 1_000).collect().await;
        assert!(taken.len() == 2 && taken[0].is_ok() && taken[1].is_err());

        // A client that is gone is not waited for.
        let (pieces, waiting) = mpsc::channel(WAITING_PIECES);
        drop(waiting);
        let gone = pass_on(Box::pin(stream::pending()), 1_000, pieces, Duration::from_hours(1));
        tokio::time::timeout(Duration::from_secs(5), gone).await.unwrap();
    }

    #[test]
    fn only_pictures_sound_and_video_are_shown_and_an_unclear_type_is_a_download() {
        for (given, type_, disposition) in [
            ("image/jpeg", "image/jpeg", "inline"),
            ("IMAGE/PNG", "IMAGE/PNG", "inline"),
            ("audio/amr", "audio/amr", "inline"),
            ("video/3gpp; codecs=\"x\"", "video/3gpp; codecs=\"x\"", "inline"),
            ("image/svg+xml", "image/svg+xml", "attachment"),
            (" Image/SVG+xml;charset=utf-8", " Image/SVG+xml;charset=utf-8", "attachment"),
            ("text/html", "text/html", "attachment"),
            ("text/html;image/png", "text/html;image/png", "attachment"),
            ("application/pdf", "application/pdf", "attachment"),
            ("text/vcard", "text/vcard", "attachment"),
            ("", "application/octet-stream", "attachment"),
            ("image/png\r\nx: y", "application/octet-stream", "attachment"),
        ] {
            let (shown, how) = decide_presentation(given);
            assert_eq!((shown.to_str().unwrap(), how), (type_, disposition), "{given}");
        }
    }
}
