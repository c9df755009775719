//! `MediaService`: what people send beside their texts.

use bytes::{Bytes, BytesMut};
use chassis::Fault;
use domain::{Id, Media};
use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use proto::conversations::media_chunk::Part;
use proto::conversations::media_service_server::MediaService;
use proto::conversations::{GetMediaRequest, MediaChunk, MediaHead};
use tonic::{Request, Response, Status};

use super::{Context, parse_license_id};
use crate::error;
use crate::store::media;

/// Bytes of one part of the answer.
const PART: usize = 64 * 1024;

#[tonic::async_trait]
impl MediaService for Context {
    type GetMediaStream = BoxStream<'static, Result<MediaChunk, Status>>;

    async fn get_media(&self, request: Request<GetMediaRequest>) -> Result<Response<Self::GetMediaStream>, Status> {
        Ok(Response::new(get_media(self, &request.into_inner()).await?))
    }
}

async fn get_media(
    context: &Context,
    request: &GetMediaRequest,
) -> Result<BoxStream<'static, Result<MediaChunk, Status>>, Fault> {
    let license_id = parse_license_id(&request.license_id)?;
    // An id that cannot be one of ours names nothing.
    let media_id: Id<Media> = request.media_id.parse().map_err(|_| error::media_not_found())?;
    // Given back before the first byte is sent: a slow reader holds no connection.
    let known = media::find(&mut *context.connection().await?, &license_id, media_id).await?;
    let known = known.filter(|known| known.state != "failed").ok_or_else(error::media_not_found)?;
    let Some(size_bytes) = known.size_bytes else { return Err(error::media_pending()) };
    let found =
        context.objects.find(&media::object_key(&license_id, media_id)).await.map_err(|error| unreadable(&error))?;
    let Some(bytes) = found else {
        tracing::error!(%license_id, %media_id, "an object is missing");
        return Err(error::media_not_found());
    };
    let head = MediaHead { content_type: known.content_type, size_bytes: size_bytes.unsigned_abs() };
    let parts = cut(bytes).map_ok(|part| chunk(Part::Bytes(part.into())));
    let parts = parts.map_err(|error| Status::from(unreadable(&error)));
    Ok(stream::iter([Ok(chunk(Part::Head(head)))]).chain(parts).boxed())
}

fn chunk(part: Part) -> MediaChunk {
    MediaChunk { part: Some(part) }
}

fn unreadable(error: &object_store::Error) -> Fault {
    tracing::error!(error = error as &dyn std::error::Error, "an object cannot be read");
    Fault::unavailable("media_unavailable", "The medium cannot be read now. Try again later.")
}

/// The same bytes in parts of one size; only the last one is smaller.
fn cut<E>(bytes: BoxStream<'static, Result<Bytes, E>>) -> impl stream::Stream<Item = Result<Bytes, E>> {
    stream::try_unfold((bytes, BytesMut::new()), |(mut bytes, mut held)| async move {
        while held.len() < PART {
            match bytes.try_next().await? {
                Some(piece) => held.extend_from_slice(&piece),
                None if held.is_empty() => return Ok(None),
                None => return Ok(Some((held.split().freeze(), (bytes, held)))),
            }
        }
        Ok(Some((held.split_to(PART).freeze(), (bytes, held))))
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[tokio::test]
    async fn bytes_come_in_parts_of_one_size_whatever_they_are_read_in() {
        for pieces in [vec![], vec![1], vec![PART], vec![PART - 1, 1, 5], vec![3 * PART + 7, 8_192, 0, 1]] {
            let total: usize = pieces.iter().sum();
            let read = pieces.clone().into_iter().map(|length| Ok::<_, Infallible>(Bytes::from(vec![7; length])));
            let parts: Vec<Bytes> = cut(stream::iter(read.collect::<Vec<_>>()).boxed()).try_collect().await.unwrap();
            assert_eq!(parts.iter().map(Bytes::len).sum::<usize>(), total);
            let (last, whole) = parts.split_last().map_or((0, &[][..]), |(last, whole)| (last.len(), whole));
            assert!(last <= PART && whole.iter().all(|part| part.len() == PART), "{pieces:?}");
        }
    }
}
